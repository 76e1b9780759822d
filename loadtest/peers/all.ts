// The proxies that are compared, in the order of the table.
import { envoys } from './envoy.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import { direct, nodePeer, type Peer } from './peer.ts';
import { tracecar } from './tracecar.ts';

export const splice = nodePeer('bare splice', 'programs/splice.js');
export const tracecarFull = tracecar(100);

export const peers: readonly Peer[] = [
  direct,
  splice,
  tracecarFull,
  tracecar(1),
  nodePeer('http-proxy', 'programs/http-proxy.js'),
  nginx,
  haproxy,
  ...envoys,
];
