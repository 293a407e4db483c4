import com.aliyuncs.AcsResponse;
import com.aliyuncs.CommonRequest;
import com.aliyuncs.DefaultAcsClient;
import com.aliyuncs.IAcsClient;
import com.aliyuncs.RpcAcsRequest;
import com.aliyuncs.auth.SignatureVersion;
import com.aliyuncs.exceptions.ClientException;
import com.aliyuncs.http.FormatType;
import com.aliyuncs.http.MethodType;
import com.aliyuncs.http.ProtocolType;
import com.aliyuncs.profile.DefaultProfile;
import com.aliyuncs.reader.Reader;
import com.aliyuncs.reader.ReaderFactory;
import com.aliyuncs.transform.UnmarshallerContext;
import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Runs jobs with the Java SDK: a JSON array of jobs on standard input, one of outcomes on standard output.
 *
 * <p>An outcome is {"answer": …} (the text of the answer, or the typed response as JSON) or {"error": {"code", "kind",
 * "message"}}, as the SDK gave it. A job with "paths" (of members, with their types) also gets "members": what the SDK's
 * reader finds there.
 */
public final class Sdk {
  private static final Gson GSON = new Gson();

  private static final class Job {
    String sdk;
    String endpoint;
    String keyId;
    String secret;
    String action;
    String version;
    String format = "JSON";
    boolean v3;
    Map<String, String> parameters;
    Map<String, String> paths;
  }

  public static void main(String[] arguments) throws Exception {
    Job[] jobs = GSON.fromJson(new InputStreamReader(System.in, StandardCharsets.UTF_8), Job[].class);
    List<JsonObject> outcomes = new ArrayList<>();
    for (Job job : jobs) {
      outcomes.add(run(job));
    }
    new PrintStream(System.out, true, StandardCharsets.UTF_8).print(GSON.toJson(outcomes));
  }

  private static JsonObject run(Job job) throws Exception {
    JsonObject outcome = new JsonObject();
    IAcsClient client = new DefaultAcsClient(DefaultProfile.getProfile("cn-hangzhou", job.keyId, job.secret));
    try {
      outcome.add("answer", job.sdk.equals("typed") ? typed(client, job) : common(client, job));
      if (job.paths != null) {
        outcome.add("members", members(outcome.get("answer").getAsString(), job));
      }
    } catch (ClientException error) {
      JsonObject shown = new JsonObject();
      shown.addProperty("code", error.getErrCode());
      shown.addProperty("kind", error.getClass().getSimpleName());
      shown.addProperty("message", error.getMessage());
      outcome.add("error", shown);
    } finally {
      client.shutdown();
    }
    return outcome;
  }

  private static JsonElement common(IAcsClient client, Job job) throws ClientException {
    CommonRequest request = new CommonRequest();
    request.setSysDomain(job.endpoint);
    request.setSysProtocol(ProtocolType.HTTP);
    request.setSysMethod(MethodType.POST);
    request.setSysVersion(job.version);
    request.setSysAction(job.action);
    request.setSysAccept(FormatType.valueOf(job.format));
    if (job.v3) {
      request.setSysSignatureVersion(SignatureVersion.V3);
    }
    job.parameters.forEach(request::putBodyParameter);
    if (job.sdk.equals("acs")) {
      client.getAcsResponse(request.buildRequest()); // looks closer at errors, as it does for typed requests
    }
    return GSON.toJsonTree(client.getCommonResponse(request).getData());
  }

  // What the SDK's own reader finds in an answer, asked as its typed responses ask: by path, and by number in lists.
  private static JsonObject members(String answer, Job job) throws ClientException {
    UnmarshallerContext context = new UnmarshallerContext();
    Reader reader = ReaderFactory.createInstance(FormatType.valueOf(job.format));
    context.setResponseMap(reader.readForHideArrayItem(answer, job.action + "Response"));
    JsonObject members = new JsonObject();
    job.paths.forEach((path, kind) -> {
      String[] parts = (job.action + "Response." + path).split("\\[]", 2);
      if (parts.length == 1) {
        members.add(path, GSON.toJsonTree(member(context, parts[0], kind)));
        return;
      }
      List<Object> entries = new ArrayList<>();
      for (int index = 0; index < context.lengthValue(parts[0] + ".Length"); index++) {
        entries.add(member(context, parts[0] + "[" + index + "]" + parts[1], kind));
      }
      members.add(path, GSON.toJsonTree(entries));
    });
    return members;
  }

  private static Object member(UnmarshallerContext context, String path, String kind) {
    switch (kind) {
      case "int":
        return context.longValue(path);
      case "float":
        return context.floatValue(path);
      case "bool":
        return context.booleanValue(path);
      default:
        return context.stringValue(path);
    }
  }

  // By reflection, so that this compiles without the package of typed requests.
  @SuppressWarnings("unchecked")
  private static JsonElement typed(IAcsClient client, Job job) throws Exception {
    Class<?> kind = Class.forName("com.aliyuncs.mpaas.model.v20201028." + job.action + "Request");
    RpcAcsRequest<AcsResponse> request = (RpcAcsRequest<AcsResponse>) kind.getConstructor().newInstance();
    request.setSysEndpoint(job.endpoint);
    request.setSysAcceptFormat(FormatType.valueOf(job.format));
    if (job.v3) {
      request.setSysSignatureVersion(SignatureVersion.V3);
    }
    for (Method method : kind.getMethods()) {
      String value = method.getName().startsWith("set") ? job.parameters.get(method.getName().substring(3)) : null;
      if (value != null) {
        method.invoke(request, GSON.fromJson(GSON.toJson(value), method.getParameterTypes()[0]));
      }
    }
    return GSON.toJsonTree(client.getAcsResponse(request));
  }
}
