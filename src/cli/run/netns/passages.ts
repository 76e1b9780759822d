// Every way between a namespace and the machine that no route is: ports of the machine that lead in, and what listens on the
// machine's loopback (a collector, a resolver) at its own address inside.
import { lookup } from 'node:dns/promises';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIPv6, type Socket } from 'node:net';
import path from 'node:path';
import { type Address, formatAddress } from '../../../runtime/address.ts';
import type { LoadedConfig } from '../../../sidecar/load-config.ts';
import type { FlagValues } from '../../../sidecar/options.ts';
import { DnsRelay } from './dns-relay.ts';
import type { Namespace } from './keeper.ts';
import type { NamespaceSockets } from './namespace-sockets.ts';
import { systemProgram } from './requirements.ts';
import { isLoopback, planResolvers } from './resolv-conf.ts';
import { TcpRelay } from './tcp-relay.ts';

type SidecarConfig = LoadedConfig['config'];
type ExportConfig = SidecarConfig['exporter'];

/** Where the sidecar listens inside; nobody else is there. */
const adminInside: Address = { host: '127.0.0.1', port: 15000 };
const firstInboundPort = 15100;
const dnsPort = 53;
const resolverFile = '/etc/resolv.conf';

export class Passages {
  readonly #relays: (TcpRelay | DnsRelay)[] = [];
  #sockets: NamespaceSockets | undefined;
  #replacement: string | undefined;
  admin: Address = adminInside;
  /** `LISTEN=TARGET` of each port of the machine that leads to the command. */
  readonly inbound: string[] = [];
  /** Where the sidecar has to listen for that. */
  sidecarFlags: FlagValues = {};

  /**
   * Listens on the machine for the sidecar's admin address and each inbound pair.
   * @param movable an address instead of which, when it is taken, any free port will do
   * @throws UsageError when an address is taken
   */
  async listenOnMachine(
    { admin, inbound }: Pick<SidecarConfig, 'admin' | 'inbound'>,
    movable: Address | undefined,
  ): Promise<void> {
    const connect = (target: Address): Socket => {
      // Nobody is there yet: the connection is reset.
      if (this.#sockets === undefined) throw new Error('no namespace');
      return this.#sockets.connect(target);
    };
    const open = async (where: Address, flag: string, target: Address) => {
      const relay = await TcpRelay.open(where, `--${flag} ${formatAddress(where)}`, target, connect);
      this.#relays.push(relay);
      return relay.bound;
    };
    const inside: string[] = [];
    for (const [i, { listen, target }] of inbound.entries()) {
      const entry: Address = { host: '127.0.0.1', port: firstInboundPort + i };
      const mayMove = movable !== undefined && formatAddress(movable) === formatAddress(listen);
      const bound = await open(listen, 'inbound', entry).catch((error: unknown) => {
        if (mayMove) return open({ ...listen, port: 0 }, 'inbound', entry);
        throw error;
      });
      this.inbound.push(`${formatAddress(bound)}=${formatAddress(target)}`);
      inside.push(`${formatAddress(entry)}=${formatAddress(target)}`);
    }
    this.admin = await open(admin, 'admin', adminInside);
    this.sidecarFlags = { admin: formatAddress(adminInside), ...(inside.length > 0 && { inbound: inside }) };
  }

  /** Answers inside for what the machine has on its loopback: the collector, and its resolvers. */
  async listenInside(sockets: NamespaceSockets, exporter: ExportConfig, withV6: boolean): Promise<void> {
    this.#sockets = sockets;
    for (const address of await loopbackAddresses(exporter)) {
      if (isIPv6(address.host) && !withV6) continue;
      this.#relays.push(await TcpRelay.open(sockets.tcp(address), 'the way to the collector', address));
    }
    const { relayed, replacement } = planResolvers(readResolverFile(), withV6);
    this.#replacement = replacement;
    for (const { inside, upstream } of relayed) {
      const here: Address = { host: inside, port: dnsPort };
      const options = { udp: sockets.udp(here), tcp: sockets.tcp(here), upstream: { host: upstream, port: dnsPort } };
      this.#relays.push(await DnsRelay.open(options));
    }
  }

  /** The command line that enters the namespace, with the resolver file as it has to be there. */
  enter({ enter, folder }: Namespace): readonly string[] {
    if (this.#replacement === undefined) return enter;
    mkdirSync(folder, { mode: 0o755 });
    const file = path.join(folder, 'resolv.conf');
    writeFileSync(file, this.#replacement, { mode: 0o644 });
    const mount = `${systemProgram('mount')} --bind "$0" ${resolverFile} && exec "$@"`;
    return [...enter, systemProgram('unshare'), '--mount', '--propagation=slave', '--', '/bin/sh', '-c', mount, file];
  }

  close(): void {
    for (const relay of this.#relays) relay.close();
  }
}

function readResolverFile(): string {
  try {
    return readFileSync(resolverFile, 'utf8');
  } catch {
    return '';
  }
}

/** Where on loopback the collector is; none when it is elsewhere, or not known. */
async function loopbackAddresses({ endpoint, tracesEndpoint }: ExportConfig): Promise<readonly Address[]> {
  const { hostname, port, protocol } = new URL(tracesEndpoint || endpoint);
  const host = hostname.replace(/^\[|\]$/g, '');
  const found = await lookup(host, { all: true }).catch(() => []);
  const addresses = new Set(found.map(({ address }) => address).filter(isLoopback));
  return [...addresses].map((address) => ({ host: address, port: Number(port) || (protocol === 'https:' ? 443 : 80) }));
}
