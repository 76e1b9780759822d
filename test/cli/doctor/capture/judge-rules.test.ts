import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeRules as judge } from '../../../../src/cli/doctor/capture/judge-rules.ts';
import { applicationSockets } from '../../../../src/cli/doctor/capture/judge-sockets.ts';
import { lookAround, type Namespace } from '../../../../src/cli/doctor/capture/namespace.ts';
import { type ObservedCapture, toCapture } from '../../../../src/cli/doctor/capture/observed.ts';
import { allV4, fakeMachine, savedRules } from './support.ts';

function judgeRules(service: string, capture: ObservedCapture, here: Namespace | undefined) {
  const sockets =
    here === undefined ? [] : applicationSockets(here, new Set([capture.inboundPort, capture.outboundPort]));
  return judge(service, capture, here, sockets);
}

test('the state of capture is read from the settings and the readiness page', () => {
  const settings: Readonly<Record<string, unknown>> = {
    capture: 'tproxy',
    iptables: 'istio',
    'inbound-capture-port': ['[::]:15006'],
    'outbound-capture-port': ['127.0.0.1:15001', '[::1]:15001'],
  };
  const page = 'LIVE\ncaptured: inbound ipv4 ipv6\nnot captured: outbound ipv6\nunknown: outbound ipv4\n';
  assert.deepEqual(
    toCapture((key) => settings[key], page),
    {
      mode: 'tproxy',
      iptables: 'istio',
      captured: ['inbound ipv4', 'inbound ipv6'],
      notCaptured: ['outbound ipv6'],
      unknown: ['outbound ipv4'],
      inboundPort: 15006,
      outboundPort: 15001,
    },
  );
  assert.equal(
    toCapture((key) => (key === 'capture' ? 'none' : null), 'LIVE\n'),
    undefined,
  );
});

test('all captured is one good line', () => {
  assert.deepEqual(judgeRules('shop', allV4, undefined), [
    { hop: 'capture of shop', verdict: 'good', detail: 'inbound ipv4, outbound ipv4, by redirect' },
  ]);
});

test('no rules at all: how to apply them, of the kind the sidecar waits for', () => {
  const capture = { ...allV4, captured: [], notCaptured: ['inbound ipv4', 'outbound ipv4'] as const };
  const [finding, ...others] = judgeRules(
    'shop',
    capture,
    lookAround(fakeMachine({ programs: { 'iptables-save': '' } })),
  );
  assert.equal(others.length, 0);
  assert.equal(finding?.verdict, 'bad');
  assert.match(finding?.detail ?? '', /no rules bring any \(inbound ipv4, outbound ipv4\)/);
  assert.match(finding?.advice ?? '', /^run `tracecar iptables apply` in an init container/);
  const [istio] = judgeRules('shop', { ...capture, iptables: 'istio' }, undefined);
  assert.match(istio?.advice ?? '', /apply --iptables istio`/);
});

test('a direction that is missing is named, with the flag that brings it', () => {
  const [finding] = judgeRules(
    'shop',
    { ...allV4, captured: ['inbound ipv4'], notCaptured: ['outbound ipv4'] },
    undefined,
  );
  assert.equal(finding?.detail, 'rules capture inbound ipv4, but not outbound ipv4');
  assert.match(finding?.advice ?? '', /with -i '\*'/);
});

test('IPv6 without rules is a way past the sidecar: address and listening ports are named', () => {
  const here = lookAround(
    fakeMachine({
      programs: { 'iptables-save': savedRules(), 'ip6tables-save': '' },
      addresses: ['127.0.0.1', '10.0.0.7', '::1', 'fe80::1', '2001:db8::7'],
      sockets6: [
        { address: '0'.repeat(32), port: 8080, uid: 1000 },
        { address: '0'.repeat(32), port: 15006, uid: 1337 },
      ],
    }),
  );
  const [finding, ...others] = judgeRules('shop', { ...allV4, notCaptured: ['inbound ipv6', 'outbound ipv6'] }, here);
  assert.equal(others.length, 0);
  assert.match(
    finding?.detail ?? '',
    /^IPv6 goes past the sidecar: .*\(2001:db8::7\).*inbound ipv6, outbound ipv6.*listens for IPv6 on 8080$/,
  );
  assert.match(finding?.advice ?? '', /--ipv6 on/);
});

test('rules to another port, or of the other kind, are told from no rules', () => {
  const capture = { ...allV4, captured: [], notCaptured: ['inbound ipv4', 'outbound ipv4'] as const };
  const elsewhere = fakeMachine({ programs: { 'iptables-save': savedRules({ inboundCapturePort: '16006' }) } });
  const [port] = judgeRules('shop', capture, lookAround(elsewhere));
  assert.equal(port?.detail, 'rules lead inbound ipv4 to port 16006, the sidecar waits on 15006');
  const foreign = fakeMachine({ programs: { 'iptables-save': savedRules({ iptables: 'istio' }) } });
  const [kind] = judgeRules('shop', capture, lookAround(foreign));
  assert.equal(kind?.detail, 'the rules are of the kind istio, the sidecar was told --iptables tracecar');
});

test('what the sidecar cannot see is read from the rules where that is permitted, and else left open', () => {
  const capture = { ...allV4, iptables: 'istio', captured: ['inbound ipv4'], unknown: ['outbound ipv4'] } as const;
  const [blind] = judgeRules('shop', capture, lookAround(fakeMachine({})));
  assert.deepEqual([blind?.verdict, /outbound ipv4 cannot be seen/.test(blind?.detail ?? '')], ['open', true]);
  const machine = fakeMachine({ programs: { 'iptables-save': savedRules({ iptables: 'istio' }) } });
  assert.equal(judgeRules('shop', capture, lookAround(machine))[0]?.detail, 'inbound ipv4, outbound ipv4, by redirect');
  const inboundOnly = savedRules({ iptables: 'istio', istioServiceCidr: '' });
  const [missing] = judgeRules(
    'shop',
    capture,
    lookAround(fakeMachine({ programs: { 'iptables-save': inboundOnly } })),
  );
  assert.match(missing?.detail ?? '', /but not outbound ipv4/);
});

test('a socket of IPv6 that nobody reaches yet is worth a line, and none where there are rules for it', () => {
  const here = lookAround(fakeMachine({ sockets6: [{ address: '0'.repeat(32), port: 8080, uid: 1000 }] }));
  const [, told, ...others] = judgeRules('shop', allV4, here);
  assert.equal(others.length, 0);
  assert.deepEqual(
    [told?.verdict, told?.detail.startsWith('the application listens for IPv6 on 8080 without rules')],
    ['open', true],
  );
  const both: ObservedCapture = { ...allV4, captured: [...allV4.captured, 'inbound ipv6', 'outbound ipv6'] };
  assert.equal(judgeRules('shop', both, here).length, 1);
});
