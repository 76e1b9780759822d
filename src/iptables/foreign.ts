// Rules of another mesh: two captures of the same traffic would send it round in circles.
import type { Family } from './cidr.ts';
import type { RuleKind } from './config.ts';
import { familyNames } from './failure.ts';
import type { SavedRules } from './saved-rules.ts';

interface Mesh {
  readonly name: string;
  readonly chains: RegExp;
  readonly remedy: string;
}

const switchOff = 'switch its injection off for this pod';

const others: readonly Mesh[] = [
  { name: 'Linkerd', chains: /^PROXY_INIT_/, remedy: switchOff },
  { name: 'Consul', chains: /^CONSUL_PROXY_/, remedy: switchOff },
  { name: 'Kuma', chains: /^(KUMA_MESH_|MESH_(IN|OUT)BOUND)/, remedy: switchOff },
  { name: 'AWS App Mesh', chains: /^APPMESH_/, remedy: switchOff },
  { name: 'Open Service Mesh', chains: /^OSM_PROXY_/, remedy: switchOff },
];

/** Chains of the other of the two kinds that this program itself can make. */
const otherKind: Readonly<Record<RuleKind, Mesh>> = {
  tracecar: {
    name: 'Istio',
    chains: /^ISTIO_/,
    remedy: `${switchOff}, or if this command made them run "tracecar iptables clean --iptables istio" first`,
  },
  istio: { name: 'Tracecar', chains: /^TRACECAR_/, remedy: 'run "tracecar iptables clean" first' },
};

/** @returns one line that names the chains of another mesh and says what to do, or undefined when there are none */
export function findForeignMesh(kind: RuleKind, family: Family, saved: SavedRules): string | undefined {
  for (const mesh of [...others, otherKind[kind]]) {
    for (const [table, { chains }] of saved) {
      const found = chains.filter((chain) => mesh.chains.test(chain));
      if (found.length > 0) {
        return `the rules of ${mesh.name} are here already (chains ${found.join(', ')} of ${table}, ${familyNames[family]}); ${mesh.remedy}`;
      }
    }
  }
  return undefined;
}
