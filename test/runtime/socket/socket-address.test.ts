// Addresses are read from and written to the kernel's layout, in either byte order.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  addressKey,
  bytesV6,
  decodeAddress,
  encodeAddress,
  isV6,
  putV4,
  setPort,
  unmap,
} from '../../../src/runtime/socket/socket-address.ts';

const hex = (text: string) => {
  const bytes = Buffer.alloc(bytesV6);
  bytes.write(text.replaceAll(' ', ''), 'hex');
  return bytes;
};

const v4Little = hex('0200 1f90 0a010203');
const v4Big = hex('0002 1f90 0a010203');
const v6Little = hex('0a00 01bb 00000000 20010db8000000000000000000000001 00000000');
const v6Big = hex('000a 01bb 00000000 20010db8000000000000000000000001 00000000');
const mapped = hex('0a00 0050 00000000 00000000000000000000ffffc0a80001 00000000');
const linkLocalLittle = hex('0a00 0050 00000000 fe800000000000000000000000000002 03000000');
const linkLocalBig = hex('000a 0050 00000000 fe800000000000000000000000000002 00000003');

test('IPv4 and IPv6 addresses are read in either byte order', () => {
  for (const [bytes, little] of [
    [v4Little, true],
    [v4Big, false],
  ] as const) {
    assert.deepEqual(decodeAddress(bytes, little), { host: '10.1.2.3', port: 8080, scope: 0 });
    assert.equal(isV6(bytes, little), false);
  }
  for (const [bytes, little] of [
    [v6Little, true],
    [v6Big, false],
  ] as const) {
    assert.deepEqual(decodeAddress(bytes, little), { host: '2001:db8::1', port: 443, scope: 0 });
    assert.equal(isV6(bytes, little), true);
  }
  assert.deepEqual(decodeAddress(linkLocalLittle, true), { host: 'fe80::2', port: 80, scope: 3 });
  assert.deepEqual(decodeAddress(linkLocalBig, false), { host: 'fe80::2', port: 80, scope: 3 });
});

test('IPv4 in the form of IPv6 is IPv4, and can be made so in place', () => {
  assert.deepEqual(decodeAddress(mapped, true), { host: '192.168.0.1', port: 80, scope: 0 });
  assert.equal(isV6(mapped, true), false);
  const plain = Buffer.from(mapped);
  unmap(plain, true);
  assert.equal(plain.toString('hex'), hex('0200 0050 c0a80001').toString('hex'));
  const untouched = Buffer.from(v6Little);
  unmap(untouched, true);
  assert.deepEqual(untouched, v6Little);
});

test('a family that is neither is an error', () => {
  assert.throws(() => decodeAddress(hex('0100'), true), RangeError);
  assert.throws(() => decodeAddress(v4Little, false), RangeError);
});

test('the key is the same for the same address and port, whatever the flow label', () => {
  const labelled = Buffer.from(v6Little);
  labelled.write('000abcde', 4, 'hex');
  assert.equal(addressKey(labelled, true), addressKey(v6Little, true));
  const otherPort = Buffer.from(v6Little);
  setPort(otherPort, 444);
  const otherScope = Buffer.from(linkLocalLittle);
  otherScope[24] = 4;
  const all = [v4Little, mapped, v6Little, otherPort, linkLocalLittle, otherScope];
  assert.equal(new Set(all.map((bytes) => addressKey(bytes, true))).size, all.length);
});

test('what is written is read back', () => {
  for (const little of [true, false]) {
    const v4 = encodeAddress(Uint8Array.of(127, 0, 0, 6), 15006, little);
    assert.equal(v4.length, 16);
    assert.deepEqual(decodeAddress(v4, little), { host: '127.0.0.6', port: 15006, scope: 0 });
    const six = Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 6 : 0));
    const v6 = encodeAddress(six, 0, little);
    assert.equal(v6.length, bytesV6);
    assert.deepEqual(decodeAddress(v6, little), { host: '::6', port: 0, scope: 0 });
  }
});

test('an IPv4 address is put by its text, plain or in the form of IPv6, and nothing else is', () => {
  for (const little of [true, false]) {
    const bytes = Buffer.alloc(bytesV6, 0xff);
    for (const text of ['10.0.0.2', '::ffff:10.0.0.2']) {
      assert.equal(putV4(bytes.fill(0xff), text, little), true);
      setPort(bytes, 80);
      assert.deepEqual(bytes.subarray(0, 8), encodeAddress(Uint8Array.of(10, 0, 0, 2), 80, little).subarray(0, 8));
    }
    for (const text of ['', '10.0.0', '10.0.0.2.1', '::1', '2001:db8::2', 'fe80::1%eth0']) {
      assert.equal(putV4(bytes, text, little), false, text);
    }
  }
});
