// The pods of the page on capture, played in real pods with real iptables: requests in and out are traced, unknown to the application.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before, describe } from 'node:test';
import { fetchText } from '../../../src/cli/demo/fetch-text.ts';
import { readTracesOf, type StoredSpan } from '../../../src/cli/demo/stored-spans.ts';
import { eventually } from '../../support/eventually.ts';
import { manifestUnder, type Pod, resolvePorts, settle } from './support/manifests.ts';
import {
  attempt,
  createNetwork,
  image,
  logs,
  noPods,
  type PodNetwork,
  play,
  podman,
  takeDown,
} from './support/podman.ts';

interface Way {
  readonly heading: string;
  /** Whom the application sees as the source of a request: the pod itself, who connected to the pod, or a fixed address. */
  readonly source: 'pod' | 'client' | '127.0.0.6' | '127.0.0.1';
  /** What the sidecar says of its rules: '' when it has none. */
  readonly captured: string;
  /** User, group and capabilities (as bits) of the sidecar. */
  readonly identity: string;
}

const none = '0000000000000000';
const netAdmin = '0000000000001000';
const ways: readonly Way[] = [
  {
    heading: 'By rules: redirect',
    source: 'pod',
    captured: 'inbound ipv4, outbound ipv4',
    identity: `1337 1337 ${none}`,
  },
  {
    heading: "By rules, the client's address kept: tproxy",
    source: 'client',
    captured: 'inbound ipv4, outbound ipv4',
    identity: `0 1337 ${netAdmin}`,
  },
  { heading: "By Istio's chains", source: '127.0.0.6', captured: 'inbound ipv4', identity: `1337 1337 ${none}` },
  { heading: 'Without privileges', source: '127.0.0.1', captured: '', identity: `1337 1337 ${none}` },
];

const script = (name: string) => readFileSync(path.join(import.meta.dirname, 'support', name), 'utf8');
const application = script('application.cjs');
const forwarder = script('service.cjs');

/** The last number of each address; the names are those of pods and Services on the page. */
const hosts = { collector: 10, ordersService: 20, paymentsService: 21, orders: 30, payments: 31 } as const;

interface Answer {
  readonly source: string;
  readonly next?: Answer;
}

let network: PodNetwork;

function at(host: keyof typeof hosts): string {
  return network.address(hosts[host]);
}

function settled(pod: Pod, environment: Readonly<Record<string, string>>): Pod {
  const names = { collector: at('collector'), orders: at('ordersService'), payments: at('paymentsService') };
  const command = ['node', '-e', application];
  return settle(pod, { image, command, environment, names });
}

/** Plays one of the two pods, and what stands for its Service. */
async function playWith(heading: string, name: 'orders' | 'payments', environment: Readonly<Record<string, string>>) {
  const { pod, service } = manifestUnder(heading, name);
  const pairs = [...resolvePorts(service, pod)].map((pair) => pair.join('='));
  const run = ['run', '-d', '--name', `${name}-service`, '--network', network.name, '--ip', at(`${name}Service`)];
  await Promise.all([
    play(network, at(name), settled(pod, { NAME: name, ...environment })),
    podman([...run, '--entrypoint', 'node', image, '-e', forwarder, at(name), ...pairs]),
  ]);
}

async function ask(pathname: string): Promise<Answer> {
  const { status, body } = await fetchText(`http://${at('ordersService')}:8080${pathname}`, 10_000);
  assert.equal(status, 200, body);
  return JSON.parse(body) as Answer;
}

/** The spans of one service's traces that ask for a path, once there are `count`, oldest first. */
async function spansOf(pathname: string, count: number): Promise<StoredSpan[]> {
  const viewer = `${at('collector')}:16686`;
  let found: StoredSpan[] = [];
  const complete = async () => {
    const lists = await Promise.all(['orders', 'payments'].map((service) => readTracesOf(viewer, service, 100)));
    const byId = new Map(lists.flat().map((span) => [span.spanId, span]));
    found = [...byId.values()].filter((span) => span.tags['url.path'] === pathname);
    return found.length >= count;
  };
  await eventually(() => `${count} spans of ${pathname}: ${JSON.stringify(found, null, 1)}`, complete, 15_000);
  return found.toSorted((a, b) => a.startUs - b.startUs);
}

function outline(span: StoredSpan): string {
  return `${span.kind} ${span.service}`;
}

function isReady(address: string): Promise<boolean> {
  return fetchText(`http://${address}/ready`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

describe('the pods of the page on capture', { skip: noPods, concurrency: false }, () => {
  before(async () => {
    await takeDown();
    network = await createNetwork(`tracecar-${process.pid}`);
    const { pod } = manifestUnder('The collector');
    await play(network, at('collector'), settled(pod, {}));
    await eventually('a collector', () =>
      fetchText(`http://${at('collector')}:16686/api/services`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
  });

  after(() => takeDown(network));

  for (const { heading, source, captured, identity } of ways) {
    describe(heading, { concurrency: false }, () => {
      const tag = encodeURIComponent(heading.replaceAll(/[^a-z]/gi, ''));

      before(async () => {
        await Promise.all([
          playWith(heading, 'payments', {}),
          playWith(heading, 'orders', { NEXT: 'http://payments:8080' }),
        ]);
        for (const name of ['orders', 'payments'] as const) {
          await eventually(`a ready sidecar of ${name}`, () => isReady(`${at(name)}:15020`), 20_000).catch(
            async (error: unknown) => {
              throw new Error(`${String(error)}\n${await logs()}`);
            },
          );
        }
        const answers = () => ask(`/warm-${tag}`).catch(() => undefined);
        await eventually('an answer of the application', answers, 20_000).catch(async (error: unknown) => {
          throw new Error(`${String(error)}\n${await logs()}`);
        });
      });

      after(async () => {
        await Promise.all([
          podman(['pod', 'rm', '-f', '-t', '0', 'orders', 'payments']),
          podman(['rm', '-f', '-t', '0', 'orders-service', 'payments-service']),
        ]);
      });

      test('the sidecar has the rights that the page says, and no more', async () => {
        const read = `const text = require('fs').readFileSync('/proc/self/status', 'latin1');
          const field = (name) => new RegExp('^' + name + ':\\\\s+(\\\\S+)', 'm').exec(text)[1];
          console.log(field('Uid'), field('Gid'), field('CapEff'));`;
        assert.equal((await podman(['exec', 'orders-tracecar', 'node', '-e', read])).trim(), identity);
      });

      test(`a request in and a call out are answered, and the application sees ${source} as the source`, async () => {
        const { source: seen, next } = await ask(`/plain-${tag}`);
        const expected = (pod: 'orders' | 'payments') =>
          source === 'pod' ? at(pod) : source === 'client' ? at(`${pod}Service`) : source;
        assert.deepEqual([seen, next?.source], [expected('orders'), expected('payments')]);
      });

      test('the call is one trace through both pods, though the application does nothing for it', async () => {
        await ask(`/unaware-${tag}`);
        const [server, client, far] = await spansOf(`/unaware-${tag}`, 3);
        assert.deepEqual(
          [server, client, far].map((span) => outline(span!)),
          ['SERVER orders', 'CLIENT orders', 'SERVER payments'],
        );
        assert.deepEqual([server?.parentId, client?.parentId], ['', '']);
        assert.deepEqual([far?.traceId, far?.parentId], [client?.traceId, client?.spanId]);
        assert.notEqual(server?.traceId, client?.traceId);
      });

      test('/ready says what is captured, and the doctor finds the request on its way through', async () => {
        const { body } = await fetchText(`http://${at('orders')}:15020/ready`);
        // Whether there is IPv6 as well is this machine's business.
        assert.equal((/^captured: (.*)$/m.exec(body)?.[1] ?? '').replaceAll(' ipv6', ''), captured, body);
        const where = ['--sidecar', `${at('orders')}:15020`, '--via', `http://orders:8080/handing-on-doctor-${tag}`];
        const { stdout } = await attempt(['exec', 'collector-collector', 'tracecar', 'doctor', ...where]);
        assert.match(stdout, /✓ request .* was answered 200/);
        assert.match(stdout, /✓ captured .*orders/);
        assert.match(stdout, /✓ trace .*orders, payments|✓ trace .*payments, orders/);
        if (captured === '') assert.ok(!stdout.includes('capture of'), stdout);
        else assert.match(stdout, new RegExp(`${captured.includes('outbound') ? '✓' : '·'} capture of orders`));
      });

      test('it is one trace from the first pod in to the second when the application hands on traceparent', async () => {
        await ask(`/handing-on-${tag}`);
        const spans = await spansOf(`/handing-on-${tag}`, 3);
        assert.deepEqual(spans.map(outline), ['SERVER orders', 'CLIENT orders', 'SERVER payments']);
        const [server, client] = spans;
        assert.deepEqual(
          spans.map((span) => span.parentId),
          ['', server?.spanId, client?.spanId],
        );
        assert.equal(new Set(spans.map((span) => span.traceId)).size, 1);
      });
    });
  }

  test('the doctor inside a pod finds an excluded port and an application that passes for the sidecar', async (t) => {
    t.after(() => podman(['pod', 'rm', '-f', '-t', '0', 'orders']));
    const { pod } = manifestUnder('By rules: redirect');
    const broken = settled(pod, { NAME: 'orders' });
    const [init] = broken.spec.initContainers ?? [];
    assert.ok(init);
    init.args = [...(init.args ?? []), '-d', '8080,15020'];
    const application = broken.spec.containers.find(({ name }) => name === 'orders');
    assert.ok(application);
    application.securityContext = { runAsUser: 1337, runAsGroup: 1337 };
    await play(network, at('orders'), broken);
    await eventually('a ready sidecar', () => isReady(`${at('orders')}:15020`), 20_000);
    const viewer = `${at('collector')}:16686`;
    const doctor = ['doctor', '--sidecar', '127.0.0.1:15020', '--viewer', viewer];
    const sidecar = await attempt(['exec', 'orders-tracecar', 'tracecar', ...doctor]);
    const who = 'the application on port 8080 runs as user 1337';
    const said = `✓ capture of orders +inbound ipv4, .*outbound ipv4, .*by redirect\n.* application orders +${who}`;
    assert.match(sidecar.stdout, new RegExp(said));
    assert.match(sidecar.stdout, /· request +none was sent/);
    assert.equal(sidecar.code, 1);
    // A debug container, which may read the rules.
    const rights = ['--user', '0', '--cap-add', 'NET_ADMIN'];
    const root = await attempt(['run', '--rm', '--pod', 'orders', ...rights, image, ...doctor]);
    assert.match(
      root.stdout,
      /✗ ports of orders +inbound port 8080 is not captured: the rule "-p tcp .*--dport 8080 -j RETURN"/,
    );
    assert.match(root.stdout, new RegExp(`first thing wrong: application orders: ${who}`));
  });
});
