// Podman for a test of pods: a network of its own, pods played from Kubernetes YAML, and everything taken down again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** The image to play, built by `npm run test:real` into a store of its own; '' where there is none. */
export const image = process.env.TRACECAR_POD_IMAGE ?? '';
/** Why there can be no pods, or false. */
export const noPods: string | false =
  image === '' ? 'no image; npm run test:real makes one where podman can run' : false;

/** Runs podman; resolves with what it wrote, rejects with its last words when it fails. */
export async function podman(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await attempt(args, input);
  if (code !== 0)
    throw new Error(`podman ${args.slice(0, 2).join(' ')}: ${stderr.trim().split('\n').slice(-6).join('; ')}`);
  return stdout;
}

/** The same, whatever its end. */
export async function attempt(
  args: readonly string[],
  input = '',
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn('podman', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

export interface PodNetwork {
  readonly name: string;
  /** The address number `host` of the network's range. */
  address(host: number): string;
}

/** A bridge of its own, of a range that podman finds free, without a name server: names are the pods' own business. */
export async function createNetwork(name: string): Promise<PodNetwork> {
  await podman(['network', 'create', '--disable-dns', name]);
  const [network] = JSON.parse(await podman(['network', 'inspect', name])) as [{ subnets: [{ subnet: string }] }];
  const range = network.subnets[0].subnet.replace(/\.\d+\/\d+$/, '');
  return { name, address: (host) => `${range}.${host}` };
}

/** Plays one pod at an address; resolves when its init containers have ended and its containers run. */
export async function play(network: PodNetwork, address: string, pod: object): Promise<void> {
  // JSON is YAML.
  await podman(['kube', 'play', '--network', network.name, '--ip', address, '-'], JSON.stringify(pod));
}

/** What every container has logged, for the message of a test that fails. */
export async function logs(): Promise<string> {
  const names = (await podman(['ps', '-a', '--format', '{{.Names}}'])).trim().split('\n');
  const parts = names
    .filter((name) => !name.endsWith('-infra') && name !== '')
    .map(async (name) => {
      const { stdout, stderr } = await attempt(['logs', name]);
      return `--- ${name}\n${stdout}${stderr}`;
    });
  return (await Promise.all(parts)).join('\n');
}

/** Takes down all pods and containers, and with `network` that as well. Never rejects: it runs after failures. */
export async function takeDown(network?: PodNetwork): Promise<void> {
  await attempt(['pod', 'rm', '-f', '-a', '-t', '0']);
  await attempt(['rm', '-f', '-a', '-t', '0']);
  if (network !== undefined) await attempt(['network', 'rm', '-f', network.name]);
}
