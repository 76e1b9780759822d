// Where a sidecar listens, as one list: what is bound before its workers start, and handed to them.
import { type Address, formatAddress } from '../runtime/address.ts';
import { captureListens, onSockets } from './capture/addresses.ts';
import type { SidecarConfig } from './config.ts';

/** Every address that `config` has the sidecar listen on, with the flag that says so. */
export function listenAddresses(config: SidecarConfig): { readonly address: Address; readonly what: string }[] {
  const { capture, inbound, outbound, outboundProxy, admin } = config;
  const named = (flag: string, address: Address) => ({ address, what: `--${flag} ${formatAddress(address)}` });
  return [
    // First, for the supervisor can let go only of the first sockets by itself.
    ...(capture === undefined ? [] : captureListens(capture)),
    ...inbound.map(({ listen }) => named('inbound', listen)),
    ...outbound.map(({ listen }) => named('outbound', listen)),
    ...(outboundProxy === undefined ? [] : [named('outbound-proxy', outboundProxy)]),
    named('admin', admin),
  ];
}

/** The same configuration on sockets that listen already: `descriptors` in the order of `listenAddresses`. */
export function onDescriptors(config: SidecarConfig, descriptors: readonly number[]): SidecarConfig {
  const left = [...descriptors];
  const { capture } = config;
  const others = listenAddresses({ ...config, capture: undefined }).length;
  const on = (address: Address): Address => ({ ...address, descriptor: left.shift()! });
  const captured = capture && onSockets(capture, left.splice(0, left.length - others));
  const inbound = config.inbound.map((pair) => ({ ...pair, listen: on(pair.listen) }));
  const outbound = config.outbound.map((pair) => ({ ...pair, listen: on(pair.listen) }));
  const { outboundProxy } = config;
  const proxy = outboundProxy === undefined ? {} : { outboundProxy: on(outboundProxy) };
  return { ...config, capture: captured, inbound, outbound, ...proxy, admin: on(config.admin) };
}
