// What operators write between commas, and how it can be wrong.
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { cidrKey, findCidr, isLoopback, parseCidrs } from '../../src/iptables/cidr.ts';
import { defaultFlags, type IptablesFlags, parseIptablesConfig } from '../../src/iptables/config.ts';
import { parseIds, parseInterfaces, parsePorts, parseSelection } from '../../src/iptables/lists.ts';

const usage = { name: 'UsageError' };

test('any list of ports comes back as its numbers, once each, whatever the spaces and empty entries', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  fc.assert(
    fc.property(fc.array(port), fc.constantFrom(',', ' , ', ',,'), (ports, comma) => {
      assert.deepEqual(parsePorts(ports.join(comma), '-b'), [...new Set(ports)]);
    }),
  );
});

test('any text is a list of ports or bad usage on one line, never anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9,*: -]{0,12}$/)), (text) => {
      try {
        for (const port of parsePorts(text, '-b')) assert.ok(Number.isInteger(port) && port > 0 && port < 65536);
      } catch (error) {
        assert.ok(error instanceof Error && error.name === 'UsageError' && error.message.startsWith('-b: '));
      }
    }),
  );
});

test('every IPv4 address and prefix is read to its network', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, bits) => {
      const bytes = address.split('.').map(Number);
      const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
      const size = 2 ** (32 - bits);
      const cidr = findCidr(`${address}/${bits}`);
      assert.equal(cidr?.network, BigInt(number - (number % size)));
      assert.equal(cidr?.text, `${address}/${bits}`);
      assert.equal(cidr && isLoopback(cidr), bytes[0] === 127 && bits >= 8);
    }),
  );
});

test('every way to write an IPv6 address is the same range', () => {
  fc.assert(
    fc.property(fc.ipV6(), fc.integer({ min: 0, max: 128 }), (address, bits) => {
      const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
      const [left, right] = [findCidr(`${address}/${bits}`), findCidr(`${canonical.toUpperCase()}/${bits}`)];
      assert.ok(left && right);
      assert.equal(cidrKey(left), cidrKey(right));
      assert.equal(left.network % 2n ** BigInt(128 - bits), 0n);
    }),
  );
});

test('ranges of both families may stand in one list; a bare address is a range of one', () => {
  assert.deepEqual(
    parseCidrs('10.0.0.0/8, fd00::/8,1.2.3.4,::ffff:1.2.3.4', '-i').map(({ family, text }) => `${family} ${text}`),
    ['ipv4 10.0.0.0/8', 'ipv6 fd00::/8', 'ipv4 1.2.3.4/32', 'ipv6 ::ffff:1.2.3.4/128'],
  );
});

test('what is no range, no id, no interface is bad usage that names the entry', () => {
  const bad: [() => unknown, RegExp][] = [
    ...['10.0.0.0/33', '10.0.0/8', '::/129', 'fe80::1%eth0', '10.0.0.0/8/8', 'host', '10.0.0.0/', '1.2.3.4/-1'].map(
      (text): [() => unknown, RegExp] => [
        () => parseCidrs(`10.0.0.0/8,${text}`, '-x'),
        /^-x: "\S+" is not an address range/,
      ],
    ),
    [() => parseIds('1337,x', '-u'), /^-u: "x" is not an id/],
    [() => parseIds('0', '-u'), /^-u: 0 is root/],
    [() => parseIds('', '-g'), /^-g: no id given/],
    [() => parseIds('4294967295', '-u'), /is not an id/],
    [() => parseInterfaces('eth0,a b', '-c'), /^-c: "a b" is not the name of an interface/],
    [() => parseInterfaces('-j', '-c'), /is not the name/],
    [() => parseInterfaces('!eth0', '-k'), /is not the name/],
    [() => parseInterfaces('abcdefghijklmnop', '-k'), /is not the name/],
    [() => parseSelection('*,80', '-b', parsePorts), /^-b: "\*" stands alone/],
  ];
  for (const [parse, message] of bad) assert.throws(parse, { ...usage, message });
});

test('flags that cannot be meant are bad usage, each in one line', () => {
  const bad: [Partial<IptablesFlags>, RegExp, Record<string, string>?][] = [
    [{ envoyPort: '0' }, /^-p: "0" is not a port/],
    [{ envoyPort: '15006' }, /^-p and -z: 15006 cannot be both ports$/],
    [{ inboundCapturePort: '65536' }, /^-z: /],
    [{ istioServiceExcludeCidr: '*' }, /^-x: "\*" would exclude everything/],
    [{ istioServiceExcludeCidr: '10.0.0.0/8,*' }, /^-x: /],
    [{ istioServiceCidr: '10.0.0.0' + '/8,10' }, /^-i: "10" is not/],
    [{ proxyUid: '0' }, /^-u: 0 is root/],
    [{ proxyGid: '1337,0' }, /^-g: 0 is root/],
    [{ iptables: 'linkerd' }, /^--iptables: "linkerd" is none of tracecar, istio$/],
    [{ istioInboundInterceptionMode: 'NONE' }, /^-m: "NONE" is none of REDIRECT, TPROXY$/],
    [{ capture: 'none' }, /^--capture: "none" is none of redirect, tproxy$/],
    [{ capture: 'redirect', istioInboundInterceptionMode: 'TPROXY' }, /say different things/],
    [{ ipv6: 'yes' }, /^--ipv6: "yes" is none of/],
    [{ forceIptablesBinary: 'nftables' }, /^--force-iptables-binary: /],
    [{}, /^ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: "10.0.0.0\/8"/, { ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: '10.0.0.0/8' }],
    [{}, /^ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: /, { ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: '127.0.0.1/4' }],
    [{}, /65 groups are too many/, { ISTIO_OUTBOUND_OWNER_GROUPS: Array.from({ length: 65 }, (_, gid) => gid).join() }],
    [{}, /^ISTIO_OUTBOUND_OWNER_GROUPS: "a b" is not a group/, { ISTIO_OUTBOUND_OWNER_GROUPS: 'a b' }],
    [{}, /^INVALID_DROP: "maybe"/, { INVALID_DROP: 'maybe' }],
  ];
  for (const [flags, message, environment] of bad) {
    assert.throws(() => parseIptablesConfig({ ...defaultFlags, ...flags }, environment), { ...usage, message });
  }
});

test('without flags it is what Istio asks of its init container', () => {
  const config = parseIptablesConfig(defaultFlags);
  assert.deepEqual(
    [config.kind, config.mode, config.outboundPort, config.inboundPort],
    ['tracecar', 'REDIRECT', 15001, 15006],
  );
  assert.deepEqual([config.outboundCidrs, config.inboundPorts], ['*', '*']);
  assert.deepEqual(config.excludedInboundPorts, [15090, 15021, 15020]);
  assert.deepEqual([config.proxyUids, config.proxyGids], [[1337], [1337]]);
});

test('the group defaults to the user, and an empty mode is the default one', () => {
  const config = parseIptablesConfig({ ...defaultFlags, proxyUid: '7,8', istioInboundInterceptionMode: '' });
  assert.deepEqual(config.proxyGids, [7, 8]);
  assert.equal(config.mode, 'REDIRECT');
});
