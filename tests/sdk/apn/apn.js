// Sends notifications with @parse/node-apn: reads {address, port, ca, token, topic, devices}, writes the results.
'use strict';

const fs = require('fs');
const apn = require('@parse/node-apn');

async function main() {
  const job = JSON.parse(fs.readFileSync(0, 'utf8'));
  const provider = new apn.Provider({
    address: job.address,
    port: job.port,
    ca: [fs.readFileSync(job.ca)],
    token: job.token,
    production: false,
  });
  const notification = new apn.Notification({ topic: job.topic, alert: { title: 'Parcel', body: 'It waits' } });
  notification.pushType = 'alert';
  notification.expiry = Math.floor(Date.now() / 1000) + 600;
  // One goes ahead: APNs allows a single stream until it knows the sender, which this package does not respect.
  const results = [await provider.send(notification, job.devices[0])];
  results.push(await provider.send(notification, job.devices.slice(1)));
  await provider.shutdown();
  const sent = results.flatMap((result) => result.sent.map((one) => one.device));
  process.stdout.write(JSON.stringify({ sent, failed: results.flatMap((result) => result.failed) }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
