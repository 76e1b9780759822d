import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** java.net.http.HttpClient and HttpURLConnection, one request after the other and many at once. Argument: port. */
public final class Client {
  private static final byte[] DATA = new byte[1 << 21];

  public static void main(String[] args) throws Exception {
    Arrays.fill(DATA, (byte) 'd');
    var base = "http://127.0.0.1:" + args[0];
    for (var version : HttpClient.Version.values()) modern(base, HttpClient.newBuilder().version(version).build());
    old(base);
  }

  private static void modern(String base, HttpClient client) throws Exception {
    System.out.println("HttpClient, " + client.version());
    var stream = BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(DATA));
    for (var request : List.of(
        build(base + "/echo?a=%20b").GET(),
        build(base + "/echo").method("HEAD", BodyPublishers.noBody()),
        build(base + "/echo").POST(BodyPublishers.ofByteArray(DATA)),
        build(base + "/echo").POST(stream),
        build(base + "/echo").PUT(BodyPublishers.ofByteArray(DATA)).expectContinue(true),
        build(base + "/chunked").GET(),
        build(base + "/none").DELETE())) {
      show(client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray()));
    }
    var many = new ArrayList<java.util.concurrent.CompletableFuture<HttpResponse<byte[]>>>();
    for (int n = 0; n < 50; n++) {
      many.add(client.sendAsync(build(base + "/echo?n=" + n).GET().build(), HttpResponse.BodyHandlers.ofByteArray()));
    }
    for (var response : many) show(response.get());
  }

  private static HttpRequest.Builder build(String url) {
    return HttpRequest.newBuilder(URI.create(url));
  }

  private static void show(HttpResponse<byte[]> response) {
    System.out.println(response.version() + " " + response.statusCode() + " " + response.request().method());
    print(response.headers().map(), response.body());
  }

  private static void old(String base) throws IOException {
    System.out.println("HttpURLConnection");
    request(base + "/echo", "GET", 0);
    request(base + "/echo", "POST", -1);
    request(base + "/echo", "POST", DATA.length);
    request(base + "/none", "GET", 0);
    request(base + "/chunked", "GET", 0);
  }

  /** A length of -1 sends chunks. */
  private static void request(String url, String method, int length) throws IOException {
    var connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
    connection.setRequestMethod(method);
    if (length != 0) {
      connection.setDoOutput(true);
      if (length < 0) connection.setChunkedStreamingMode(5000);
      else connection.setFixedLengthStreamingMode(length);
      try (var out = connection.getOutputStream()) {
        out.write(DATA);
      }
    }
    System.out.println(connection.getResponseCode() + " " + connection.getResponseMessage());
    try (InputStream in = connection.getResponseCode() < 400 ? connection.getInputStream() : connection.getErrorStream()) {
      print(connection.getHeaderFields(), in.readAllBytes());
    }
  }

  private static void print(Map<String, List<String>> headers, byte[] body) {
    var sorted = new TreeMap<String, List<String>>();
    headers.forEach((name, values) -> { if (name != null && !name.equalsIgnoreCase("date")) sorted.put(name, values); });
    System.out.println(sorted);
    System.out.println(body.length > 2000 ? body.length + " " + Arrays.hashCode(body) : new String(body));
  }
}
