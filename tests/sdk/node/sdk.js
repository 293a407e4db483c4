// Runs jobs with the Node SDKs: a JSON array of jobs on standard input, one of outcomes on standard output.
//
// A job names the SDK, the server, the key, the action with its parameters, and the SDK's options. An outcome is
// {"answer": …} or {"error": {"code", "name", "status"}}, as the SDK gave it.
'use strict';

const lowerFirst = (name) => name[0].toLowerCase() + name.slice(1);
const config = (job) => ({
  accessKeyId: job.keyId,
  accessKeySecret: job.secret,
  endpoint: job.endpoint,
  protocol: 'HTTP',
  regionId: 'cn-hangzhou',
});

const sdks = {
  'pop-core': (job) => {
    const { RPCClient } = require('@alicloud/pop-core');
    const { keyId: accessKeyId, secret: accessKeySecret, version: apiVersion } = job;
    const client = new RPCClient({ accessKeyId, accessKeySecret, apiVersion, endpoint: `http://${job.endpoint}` });
    return client.request(job.action, job.parameters, job.options);
  },

  // What @alicloud/mpaas20190821 does, for any action.
  'rpc-client': (job) => {
    const { default: Client, Config } = require('@alicloud/rpc-client');
    const { RuntimeOptions } = require('@alicloud/tea-util');
    const client = new Client(new Config({ ...config(job), type: 'access_key' }));
    const runtime = new RuntimeOptions({});
    return client.doRequest(job.action, 'HTTP', 'POST', job.version, 'AK', null, job.parameters, runtime);
  },

  // What @alicloud/mpaas20201028 does, for any action.
  'openapi-core': async (job) => {
    const { default: Client, $OpenApiUtil } = require('@alicloud/openapi-core');
    const { RuntimeOptions } = require('@darabonba/typescript');
    const client = new Client(new $OpenApiUtil.Config(config(job)));
    const params = new $OpenApiUtil.Params({
      action: job.action,
      version: job.version,
      protocol: 'HTTP',
      pathname: '/',
      method: 'POST',
      authType: 'AK',
      style: 'RPC',
      reqBodyType: 'formData',
      bodyType: 'json',
    });
    const request = new $OpenApiUtil.OpenApiRequest({ body: job.parameters });
    return (await client.callApi(params, request, new RuntimeOptions({}))).body;
  },

  mpaas20190821: (job) => typed('@alicloud/mpaas20190821', require('@alicloud/rpc-client').Config, job),

  mpaas20201028: async (job) => {
    const { $OpenApiUtil } = require('@alicloud/openapi-core');
    return (await typed('@alicloud/mpaas20201028', $OpenApiUtil.Config, job)).body.toMap();
  },
};

function typed(name, Config, job) {
  const sdk = require(name);
  const client = new sdk.default(new Config(config(job)));
  const fields = Object.fromEntries(Object.entries(job.parameters).map(([key, value]) => [lowerFirst(key), value]));
  return client[lowerFirst(job.action)](new sdk[`${job.action}Request`](fields));
}

async function run(job) {
  try {
    return { answer: await sdks[job.sdk](job) };
  } catch (error) {
    const { code, name, statusCode, data, entry } = error;
    const status = statusCode || (data && data.statusCode) || (entry && entry.response && entry.response.statusCode);
    return { error: { code: code || null, name, status: status || null, message: error.message } };
  }
}

async function main() {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  const outcomes = [];
  for (const job of JSON.parse(Buffer.concat(parts).toString())) outcomes.push(await run(job));
  process.stdout.write(JSON.stringify(outcomes));
}

main();
