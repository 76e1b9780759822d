// Which inbound ports are captured, said the same way in our own chains and in Istio's.
import type { IptablesConfig } from './config.ts';

/** What becomes of inbound connections: each of `actions` in turn, for every port but the excluded, or for the listed. */
export function capturedInbound(config: IptablesConfig, actions: readonly string[]): string[] {
  if (config.inboundPorts !== '*') {
    return config.inboundPorts.flatMap((port) => actions.map((action) => `-p tcp --dport ${port} ${action}`));
  }
  return [
    ...config.excludedInboundPorts.map((port) => `-p tcp --dport ${port} -j RETURN`),
    ...actions.map((action) => `-p tcp ${action}`),
  ];
}
