// Whether connections inside a namespace really come to the sidecar, seen from there before the command starts.
import type { Address } from '../../../runtime/address.ts';
import type { CapturedSidecar } from './captured-sidecar.ts';
import type { NamespaceSockets } from './namespace-sockets.ts';

/** Ports of loopback that the rules send to the sidecar's listeners, which say there which they are. */
const probePorts = { inbound: 15002, outbound: 15003 } as const;
const answerTimeoutMs = 1_000;
const maxAnswerBytes = 100;

/** @throws UsageError when the sidecar ends, or is not reached in each direction and family within `timeoutMs` */
export async function requireCapture(
  sockets: NamespaceSockets,
  sidecar: CapturedSidecar,
  withV6: boolean,
  timeoutMs: number,
): Promise<void> {
  for (const [family, host] of [['IPv4', '127.0.0.1'], ...(withV6 ? [['IPv6', '::1']] : [])] as [string, string][]) {
    for (const direction of ['inbound', 'outbound'] as const) {
      const probe = async () => {
        const answer = await ask(sockets, { host, port: probePorts[direction] });
        return answer === `tracecar ${direction}\n`
          ? ''
          : `${direction} ${family} connections do not reach the sidecar`;
      };
      await sidecar.ready(probe, timeoutMs);
    }
  }
}

/** What is said there to who says nothing; '' when nobody listens. */
function ask(sockets: NamespaceSockets, address: Address): Promise<string> {
  return new Promise((resolve) => {
    const socket = sockets.connect(address).setTimeout(answerTimeoutMs).setEncoding('latin1');
    let answer = '';
    const end = () => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('data', (text) => {
      answer += text;
      if (answer.length > maxAnswerBytes) end();
    });
    socket.on('end', end).on('error', end).on('timeout', end);
  });
}
