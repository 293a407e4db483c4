import com.eatthepath.pushy.apns.auth.ApnsVerificationKey;
import com.eatthepath.pushy.apns.server.MockApnsServer;
import com.eatthepath.pushy.apns.server.MockApnsServerBuilder;
import com.eatthepath.pushy.apns.server.PushNotificationHandler;
import com.eatthepath.pushy.apns.server.PushNotificationHandlerFactory;
import com.eatthepath.pushy.apns.server.ValidatingPushNotificationHandlerFactory;
import java.io.File;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * Pushy's mock of APNs, which checks provider tokens, topics, tokens, ids and payloads, until its input ends.
 *
 * Arguments: port, topic (another, with ".forbidden" behind it, is not for the key), team id, key id, how many device tokens there are (numbers in 64 hexadecimal digits), one
 * more that has expired, and when (ms). In the working directory: cert.pem, key.pem, and public.pem of the team's key.
 */
public final class MockApns {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[0]);
        String topic = arguments[1];
        ApnsVerificationKey key;
        try (InputStream pem = Files.newInputStream(Path.of("public.pem"))) {
            key = ApnsVerificationKey.loadFromInputStream(pem, arguments[2], arguments[3]);
        }
        Set<String> tokens = new HashSet<>();
        for (int number = 0; number < Integer.parseInt(arguments[4]); number++) {
            tokens.add(String.format("%064x", number));
        }
        String expired = arguments[5];
        tokens.add(expired);
        Instant since = Instant.ofEpochMilli(Long.parseLong(arguments[6]));
        PushNotificationHandlerFactory checks = new ValidatingPushNotificationHandlerFactory(
            Map.of(topic, tokens, topic + ".forbidden", tokens), Map.of(expired, since), Map.of(arguments[3], key),
            Map.of(key, Set.of(topic)));
        MockApnsServer server = new MockApnsServerBuilder()
            .setServerCredentials(new File("cert.pem"), new File("key.pem"), null)
            .setHandlerFactory(session -> readable(checks.buildHandler(session)))
            .setUseAlpn(true)
            .build();
        server.start(port).get();
        System.in.read();
        server.shutdown().get();
    }

    /** Pushy knows signatures in DER alone; JSON web tokens have r and s as they are (RFC 7518, section 3.4). */
    private static PushNotificationHandler readable(PushNotificationHandler handler) {
        return (headers, payload) -> {
            CharSequence authorization = headers.get("authorization");
            if (authorization != null) {
                String token = authorization.toString();
                int signed = token.lastIndexOf('.') + 1;
                byte[] signature = Base64.getUrlDecoder().decode(token.substring(signed));
                if (signature.length == 64) {
                    String der = Base64.getUrlEncoder().withoutPadding().encodeToString(der(signature));
                    headers.set("authorization", token.substring(0, signed) + der);
                }
            }
            handler.handlePushNotification(headers, payload);
        };
    }

    private static byte[] der(byte[] signature) {
        byte[] r = new BigInteger(1, Arrays.copyOfRange(signature, 0, 32)).toByteArray();
        byte[] s = new BigInteger(1, Arrays.copyOfRange(signature, 32, 64)).toByteArray();
        return ByteBuffer.allocate(6 + r.length + s.length)
            .put((byte) 0x30).put((byte) (4 + r.length + s.length))
            .put((byte) 0x02).put((byte) r.length).put(r)
            .put((byte) 0x02).put((byte) s.length).put(s)
            .array();
    }
}
