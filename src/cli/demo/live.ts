// `tracecar demo` as a demo to look at: traffic until it is stopped, and a few lines on where to look.
import type { Mesh } from './mesh.ts';
import { keepSending } from './traffic.ts';

const intervalMs = 400;

/** Sends traffic and prints where to look; resolves only by rejecting, when a child ends. */
export async function runLive(mesh: Mesh): Promise<never> {
  const frontEnd = mesh.nodes[0]!;
  const traffic = keepSending(frontEnd.inbound, intervalMs);
  process.stdout.write(describe(mesh));
  try {
    return await mesh.group.failed;
  } finally {
    traffic.stop();
  }
}

function describe(mesh: Mesh): string {
  const frontEnd = mesh.nodes[0]!;
  return `
Tracecar demo: front-end -> orders -> inventory and payments, a sidecar beside each.

  viewer       http://${mesh.collector.viewer}
  try          curl -s http://${frontEnd.inbound}/products/book
               curl -s http://${frontEnd.inbound}/checkout -d '{"item":"sofa","amount":400}'     (slow)
               curl -s http://${frontEnd.inbound}/checkout -d '{"item":"piano","amount":9000}'   (fails)
  follow one   ${doctorCommand(mesh)}
  sidecars     ${mesh.nodes.map((node) => `http://${node.admin}/connections  (${node.service})`).join('\n               ')}
  collector    http://${mesh.collector.metrics}/metrics, OTLP/HTTP on http://${mesh.collector.otlpHttp}

Traffic is running. Ctrl-C stops everything.
`;
}

/** The doctor's command line for this mesh. */
export function doctorCommand(mesh: Mesh): string {
  const admins = mesh.nodes.map((node) => `--sidecar ${node.admin}`).join(' ');
  const via = `http://${mesh.nodes[0]!.inbound}/products/book`;
  return `npx tracecar doctor ${admins} --collector ${mesh.collector.metrics} --viewer ${mesh.collector.viewer} --via ${via}`;
}
