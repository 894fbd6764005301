import { describe, expect, it } from 'vitest';
import type { JsonObject } from './json.ts';
import { Stdin } from './stdin.ts';

const sent = (text: string): Stdin => Stdin.of(Buffer.from(text));

describe('Stdin', () => {
  it('says the same whether it was sent or made in this process', () => {
    const document: JsonObject = { a: [1, { b: null }], 'c<d': 'é\u2028', name: 'n', prevResult: { ips: [] } };
    const made = Stdin.saying(document);
    expect(made.bytes.toString()).toBe(
      '{"a":[1,{"b":null}],"c\\u003cd":"é\\u2028","name":"n","prevResult":{"ips":[]}}',
    );
    expect(Stdin.of(made.bytes).document).toEqual(document);
    expect(made.document).toBe(document);
  });

  it('keeps the bytes that were sent', () => {
    const bytes = Buffer.from(' { "name" : "n" } ');
    expect(Stdin.of(bytes).bytes).toBe(bytes);
  });

  it('is parsed once for all calls that read the same, except what only one attachment has', () => {
    const network = '{"name":"once","type":"x"}';
    expect(sent(network).document).toBe(sent(network).document);
    const own = '{"name":"once","prevResult":{}}';
    expect(sent(own).document).toEqual(sent(own).document);
    expect(sent(own).document).not.toBe(sent(own).document);
  });

  it.each([
    ['sent', (value: string) => sent(`{"mtu":${value}}`)],
    ['made', (value: string) => Stdin.saying(JSON.parse(`{"mtu":${value}}`) as JsonObject)],
  ])('takes no integer with an exponent for one, when it is %s', (_, stdin) => {
    expect(stdin('1e21').plainDocument).toEqual({ mtu: Number.NaN });
    expect(stdin('1400').plainDocument).toEqual({ mtu: 1400 });
    expect(stdin('0.5').plainDocument).toEqual({ mtu: 0.5 });
  });

  it.each(['[]', '{', '\ufeff{}', '1'])('is no document: %j', (text) => {
    expect(() => sent(text).document).toThrow(expect.objectContaining({ code: 6 }));
  });
});
