import { describe, expect, it } from 'vitest';
import { decodeLink } from '../netlink/codec/link.ts';
import { Conversation } from '../netlink/conversation.ts';
import { FakeTransport } from '../netlink/testing/fake-transport.ts';
import { mac } from '../testing/mac.ts';
import { setMac } from './device.ts';

describe('setMac', () => {
  it('asks for the address that it says it asks for', async () => {
    const transport = new FakeTransport([[]]);
    await setMac(new Conversation(() => transport), { index: 7, name: 'eth7' }, mac('02-AA-00-00-00-07'));
    const [request = Buffer.alloc(0)] = transport.sent;
    expect(decodeLink(request.subarray(16)).attributes.address).toEqual(Buffer.from('02aa00000007', 'hex'));
  });
});
