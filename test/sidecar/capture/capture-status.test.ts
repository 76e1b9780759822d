// What is captured is said by direction and family: what probes see, against the addresses that the machine has.
import assert from 'node:assert/strict';
import type { networkInterfaces } from 'node:os';
import test from 'node:test';
import { CaptureStatus, reportLines } from '../../../src/sidecar/capture/capture-status.ts';
import { LocalAddresses } from '../../../src/sidecar/capture/local-addresses.ts';

const rest = { netmask: '', mac: '', cidr: null };
const v4 = { ...rest, address: '10.0.0.1', family: 'IPv4', internal: false } as const;
const v6 = { ...rest, address: '2001:db8::1', family: 'IPv6', internal: false, scopeid: 0 } as const;
const linkLocal = { ...rest, address: 'fe80::1', family: 'IPv6', internal: false, scopeid: 2 } as const;
const loopback = { ...rest, address: '::1', family: 'IPv6', internal: true, scopeid: 0 } as const;

type Interface = NonNullable<ReturnType<typeof networkInterfaces>[string]>[number];

/** A machine with these addresses, whose rules answer for these targets. */
function status(addresses: Interface[], answering: readonly string[], rules: 'tracecar' | 'istio' = 'tracecar') {
  const asked: string[] = [];
  const probe = (target: { readonly host: string; readonly port: number }, direction: string) => {
    const name = `${direction} ${target.host} ${target.port}`;
    asked.push(name);
    return Promise.resolve(answering.includes(name));
  };
  return { asked, of: new CaptureStatus({ mode: 'redirect', iptables: rules }, probe, () => ({ eth0: addresses })) };
}

const all = ['inbound 127.0.0.1 15002', 'inbound ::1 15002', 'outbound 127.0.0.1 15003', 'outbound ::1 15003'];

test('everything captured is one line', async () => {
  const { of, asked } = status([v4, v6, loopback], all);
  assert.deepEqual(reportLines(await of.report()), ['captured: inbound ipv4 ipv6, outbound ipv4 ipv6']);
  assert.deepEqual(asked, all);
});

test('a family with an address and without rules is named; one with a link-local address only is not', async () => {
  const without6 = all.filter((name) => !name.includes('::1'));
  assert.deepEqual(reportLines(await status([v4, v6], without6).of.report()), [
    'captured: inbound ipv4, outbound ipv4',
    'not captured: inbound ipv6, outbound ipv6',
  ]);
  assert.deepEqual(reportLines(await status([v4, linkLocal], without6).of.report()), [
    'captured: inbound ipv4, outbound ipv4',
  ]);
});

test('without any address but loopback it is IPv4 that is missing', async () => {
  assert.deepEqual(reportLines(await status([], []).of.report()), ['not captured: inbound ipv4, outbound ipv4']);
});

test("Istio's rules show inbound by 127.0.0.6 and ::6, and nothing of outbound", async () => {
  const { of } = status([v4, v6], ['inbound 127.0.0.6 15002', 'inbound ::6 15002'], 'istio');
  assert.deepEqual(reportLines(await of.report()), ['captured: inbound ipv4 ipv6', 'unknown: outbound ipv4 ipv6']);
});

test('what was seen is kept for some seconds', async (t) => {
  let now = 10_000;
  t.mock.method(performance, 'now', () => now);
  const { of, asked } = status([v4], all);
  await of.report();
  await Promise.all([of.report(), of.report()]);
  assert.equal(asked.length, 4);
  now += 5_000;
  await Promise.all([of.report(), of.report()]);
  assert.equal(asked.length, 8);
});

test('a probe that hangs delays nobody: what was known is told', async () => {
  const of = new CaptureStatus(
    { mode: 'redirect', iptables: 'tracecar' },
    () => new Promise<boolean>(() => {}),
    () => ({ eth0: [v4] }),
  );
  const waiting = setTimeout(() => assert.fail('too long'), 5_000);
  assert.deepEqual(reportLines(await of.report()), []);
  clearTimeout(waiting);
});

test('where nobody had time to answer it stays as it was', async () => {
  const answers: (boolean | undefined)[] = [true, true, false, true];
  const of = new CaptureStatus(
    { mode: 'tproxy', iptables: 'tracecar' },
    () => Promise.resolve(answers.shift()),
    () => ({
      eth0: [v4, v6],
    }),
  );
  await of.refresh();
  const seen = ['captured: inbound ipv4 ipv6, outbound ipv6', 'not captured: outbound ipv4'];
  assert.deepEqual(reportLines(of.last), seen);
  await of.refresh();
  assert.deepEqual(reportLines(of.last), seen);
  assert.equal(of.remedy, 'tracecar iptables apply --capture tproxy');
});

test('local addresses are read at most once a second, and loopback never', (t) => {
  let now = 10_000;
  t.mock.method(performance, 'now', () => now);
  let reads = 0;
  let addresses: Interface[] = [v4, linkLocal];
  const local = new LocalAddresses(() => {
    reads++;
    return { eth0: addresses };
  });
  assert.ok(local.has('127.0.0.1') && local.has('127.1.2.3') && local.has('::1'));
  assert.equal(reads, 0);
  assert.ok(local.has('10.0.0.1') && !local.has('2001:db8::1'));
  assert.equal(local.zone(2), '%eth0');
  assert.equal(local.zone(0), '');
  assert.equal(reads, 1);
  addresses = [v6];
  now += 1_000;
  assert.ok(!local.has('10.0.0.1') && local.has('2001:db8::1'));
  assert.equal(reads, 2);
});
