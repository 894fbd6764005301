import { describe, expect, it } from 'vitest';
import { parseResolvConf, readResolvConf } from './resolv-conf.ts';

describe('parseResolvConf', () => {
  it('reads what resolvers read, and each line of it', () => {
    const text = `# nameserver 10.0.0.1
; a comment
nameserver 10.0.0.53 more
\tnameserver\tfd00::53\r
domain a.example
domain b.example
search a b
search c
options ndots:2 timeout:1
options
nameserver
`;
    expect(parseResolvConf(text)).toEqual({
      nameservers: ['10.0.0.53', 'fd00::53'],
      domain: 'b.example',
      search: ['a', 'b', 'c'],
      options: ['ndots:2', 'timeout:1'],
    });
    expect(parseResolvConf('')).toEqual({});
  });

  it('names the file that is missing', () => {
    expect(() => readResolvConf('/none')).toThrow('cannot read "ipam.resolvConf" "/none": ENOENT');
  });
});
