// From any state of a table to any other in one restore, and the ways a rule can be written.
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { findFamilies } from '../../src/iptables/plan.ts';
import { ruleKey } from '../../src/iptables/rule-key.ts';
import { differingChains, type OwnTable, ownTable, parseSavedRules } from '../../src/iptables/saved-rules.ts';
import { transaction } from '../../src/iptables/transaction.ts';
import { createFakeMachine } from './support/fake-machine.ts';

const specs = fc.uniqueArray(
  fc.constantFrom('-p tcp --dport 80 -j RETURN', '-o lo -j RETURN', '-p tcp -j REDIRECT --to-ports 15001', '-j RETURN'),
);
const names = fc.uniqueArray(fc.constantFrom('TRACECAR_A', 'TRACECAR_B', 'TRACECAR_C'));
const ownTables: fc.Arbitrary<OwnTable> = names.chain((chains) =>
  fc
    .record({
      rules: fc.array(specs, { minLength: chains.length, maxLength: chains.length }),
      jumps: fc.subarray(chains.flatMap((chain) => [`OUTPUT -j ${chain}`, `PREROUTING -p tcp -j ${chain}`])),
    })
    .map(({ rules, jumps }) => ({
      chains: new Map(chains.map((chain, index) => [chain, rules[index] ?? []])),
      builtIn: jumps.map((jump) => {
        const [chain = '', ...words] = jump.split(' ');
        return { chain, spec: words.join(' ') };
      }),
    })),
);
const empty: OwnTable = { chains: new Map(), builtIn: [] };

test('whatever was there, one restore makes it what is wanted, and leaves the rules of others', () => {
  const others = '*nat\n:DOCKER - [0:0]\n-A DOCKER -j RETURN\n-A OUTPUT -j DOCKER\nCOMMIT\n';
  fc.assert(
    fc.property(ownTables, ownTables, (from, to) => {
      const machine = createFakeMachine();
      machine.restore('nft', 'ipv4', others);
      const before = machine.dump();
      const first = transaction('nat', empty, from);
      if (first !== undefined) machine.restore('nft', 'ipv4', first);
      const second = transaction('nat', from, to);
      assert.equal(second === undefined, differingChains(from, to).length === 0);
      if (second !== undefined) machine.restore('nft', 'ipv4', second);
      const saved = parseSavedRules(machine.run(['iptables-nft-save']).stdout);
      assert.deepEqual(differingChains(ownTable('tracecar', saved.get('nat')), to), []);
      assert.deepEqual(
        machine.dump().filter((line) => !line.includes('TRACECAR')),
        before,
      );
    }),
  );
});

test('what is written down and what iptables-save prints of it have one key', () => {
  const pairs: [string, string][] = [
    ['-p tcp --dport 80 -j RETURN', '-p tcp -m tcp --dport 80 -j RETURN'],
    ['-p tcp --dport 80 -j RETURN', '-p 6 -m tcp --dport 80 -j RETURN'],
    ['-j MARK --set-mark 1337', '-j MARK --set-xmark 0x539/0xffffffff'],
    ['-p tcp -o lo ! -d 127.0.0.1/32 -j X', '! -d 127.0.0.1/32 -o lo -p tcp -j X'],
    ['-d 10.1.2.3/8 -j RETURN', '-d 10.0.0.0/8 -j RETURN'],
    ['-d 2001:DB8:0::/32 -j RETURN', '-d 2001:db8::/32 -j RETURN'],
    [
      '-p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006',
      '-p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539/0xffffffff',
    ],
    [
      '-p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark',
      '-p tcp -m connmark --mark 0x539 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff',
    ],
    ['-m conntrack --ctstate RELATED,ESTABLISHED -j X', '-m conntrack --ctstate ESTABLISHED,RELATED -j X'],
  ];
  for (const [written, saved] of pairs) assert.equal(ruleKey(written), ruleKey(saved));
});

test('rules that do not do the same have different keys', () => {
  const different = [
    '-p tcp --dport 80 -j RETURN',
    '-p tcp ! --dport 80 -j RETURN',
    '-p tcp --sport 80 -j RETURN',
    '-p udp --dport 80 -j RETURN',
    '-p tcp --dport 80 -j ACCEPT',
    '-m mark --mark 1337 -j RETURN',
    '-m connmark --mark 1337 -j RETURN',
    '-m mark ! --mark 1337 -j RETURN',
    '-m mark --mark 1338 -j RETURN',
    '-m owner --uid-owner 1337 -j RETURN',
    '-m owner ! --uid-owner 1337 -j RETURN',
    '-m owner --gid-owner 1337 -j RETURN',
    '-d 10.0.0.0/8 -j RETURN',
    '-s 10.0.0.0/8 -j RETURN',
    '-d 10.0.0.0/9 -j RETURN',
    '-i lo -j RETURN',
    '-o lo -j RETURN',
    '-j CONNMARK --save-mark',
    '-j CONNMARK --restore-mark',
  ];
  assert.equal(new Set(different.map(ruleKey)).size, different.length);
});

test('IPv6 counts from the first address that is not ours on lo, a link-local one too', () => {
  const lo = '00000000000000000000000000000001 01 80 10 80       lo\n';
  const ours = '00000000000000000000000000000006 01 80 00 80       lo\n';
  assert.deepEqual(findFamilies('auto', undefined), ['ipv4']);
  assert.deepEqual(findFamilies('auto', lo + ours), ['ipv4']);
  assert.deepEqual(findFamilies('auto', `${lo}fe800000000000000000000000000001 02 40 20 80     eth0\n`), [
    'ipv4',
    'ipv6',
  ]);
  assert.deepEqual(findFamilies('auto', `${lo}fd000000000000000000000000000001 01 80 00 80       lo\n`), [
    'ipv4',
    'ipv6',
  ]);
  assert.deepEqual(findFamilies('off', `${lo}fe800000000000000000000000000001 02 40 20 80     eth0\n`), ['ipv4']);
  assert.deepEqual(findFamilies('on', lo), ['ipv4', 'ipv6']);
});
