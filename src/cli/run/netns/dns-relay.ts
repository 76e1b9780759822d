// A resolver of the machine, answered at another place: UDP query by query, TCP byte for byte.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Address } from '../../../runtime/address.ts';
import { TcpRelay } from './tcp-relay.ts';

export interface DnsRelayOptions {
  /** Where queries come to: addresses, or sockets that are bound already. */
  readonly udp: Address;
  readonly tcp: Address;
  readonly upstream: Address;
  readonly timeoutMs?: number;
}

/** Longer than any client waits for one answer. */
const defaultTimeoutMs = 15_000;
/** Each waiting query holds a socket; a flood of them must not use up all there are. */
const maxWaiting = 1000;
const headerBytes = 12;
const answerBit = 0x80;
const serverFailure = 2;

export class DnsRelay {
  readonly #udp: Socket;
  readonly #tcp: TcpRelay;
  readonly #upstream: Address;
  readonly #timeoutMs: number;
  readonly #waiting = new Set<Socket>();

  private constructor(udp: Socket, tcp: TcpRelay, { upstream, timeoutMs = defaultTimeoutMs }: DnsRelayOptions) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#upstream = upstream;
    this.#timeoutMs = timeoutMs;
    udp.on('message', (query, client) => this.#ask(query, client));
    // An answer that nobody takes any more.
    udp.on('error', () => {});
  }

  /** @throws Error when it cannot listen */
  static async open(options: DnsRelayOptions): Promise<DnsRelay> {
    const { host, port, descriptor } = options.udp;
    const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    // Asked for before: on a descriptor it listens within the call.
    const listening = once(udp, 'listening');
    udp.bind(descriptor === undefined ? { address: host, port } : { fd: descriptor });
    await listening;
    try {
      return new DnsRelay(udp, await TcpRelay.open(options.tcp, 'the DNS relay', options.upstream), options);
    } catch (error) {
      udp.close();
      throw error;
    }
  }

  get udpPort(): number {
    return this.#udp.address().port;
  }

  get tcpPort(): number {
    return this.#tcp.bound.port;
  }

  close(): void {
    this.#udp.close();
    for (const socket of this.#waiting) socket.close();
    this.#waiting.clear();
    this.#tcp.close();
  }

  /** Each query has a socket, and so a port, of its own: what comes back there answers it and nothing else. */
  #ask(query: Buffer, client: RemoteInfo): void {
    if (query.length < headerBytes || this.#waiting.size >= maxWaiting) return;
    const { host, port } = this.#upstream;
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    this.#waiting.add(socket);
    const end = (answer?: Buffer) => {
      clearTimeout(timer);
      if (!this.#waiting.delete(socket)) return;
      socket.close();
      if (answer !== undefined) this.#udp.send(answer, client.port, client.address);
    };
    const timer = setTimeout(end, this.#timeoutMs);
    socket.once('message', end);
    // Nobody listens there: said at once, a client asks its next resolver without waiting.
    socket.on('error', () => end(failed(query)));
    socket.connect(port, host, () => socket.send(query));
  }
}

/** The query as an answer: SERVFAIL (RFC 1035, section 4.1.1). */
function failed(query: Buffer): Buffer {
  const answer = Buffer.from(query);
  answer[2] = answer[2]! | answerBit;
  answer[3] = (answer[3]! & 0xf0) | serverFailure;
  return answer;
}
