import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.TreeMap;
import java.util.concurrent.Executors;

/** com.sun.net.httpserver on 127.0.0.1: says what it got. Argument: port. */
public final class Server {
  public static void main(String[] args) throws IOException {
    var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0]));
    var server = HttpServer.create(address, 0);
    server.createContext("/echo", Server::echo);
    server.createContext("/chunked", exchange -> answer(exchange, 0, "x".repeat(100_000)));
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.start();
  }

  private static void echo(HttpExchange exchange) throws IOException {
    var body = exchange.getRequestBody().readAllBytes();
    var text = new StringBuilder(exchange.getRequestMethod() + " " + exchange.getRequestURI() + " " + exchange.getProtocol() + "\n");
    for (var header : new TreeMap<>(exchange.getRequestHeaders()).entrySet()) {
      var name = header.getKey().toLowerCase(Locale.ROOT);
      if (name.equals("traceparent") || name.equals("x-request-id") || name.startsWith("x-b3-") || name.equals("host")) continue;
      text.append(header.getKey()).append(": ").append(header.getValue()).append("\n");
    }
    text.append(body.length).append(" ").append(java.util.Arrays.hashCode(body)).append("\n");
    answer(exchange, -1, text.toString());
  }

  /** A length of 0 means chunked here, -1 the length of the text. */
  private static void answer(HttpExchange exchange, long length, String text) throws IOException {
    var bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().add("X-Case", "Kept");
    exchange.sendResponseHeaders(200, exchange.getRequestMethod().equals("HEAD") ? -1 : length == 0 ? 0 : bytes.length);
    if (!exchange.getRequestMethod().equals("HEAD")) exchange.getResponseBody().write(bytes);
    exchange.close();
  }
}
