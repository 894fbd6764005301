/** What looks bad in a call of macvlan and is not. */
import { describe, expect, it } from 'vitest';
import { answer, fake } from '../../lab/fakes.ts';
import { Lab } from '../../lab/lab.ts';
import { FAKE, macvlan } from './bad.ts';

describe.concurrent('macvlan has nothing against', () => {
  it('an IPAM plugin that does not read a long stdin', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const path = [
      fake(lab, 'fake-ipam', `exec <&-\n${answer({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] })}`),
    ];
    const conf = macvlan({ ipam: { type: 'fake-ipam' }, x: 'x'.repeat(1 << 20) });
    expect(await lab.call({ verb: 'ADD', plugin: 'macvlan', conf, netns: pod.path, path })).toMatchObject({
      exitCode: 0,
    });
  });

  it('an IPAM plugin that says much on stderr', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const path = [
      fake(
        lab,
        'fake-ipam',
        `head -c 1000000 /dev/zero | tr '\\0' x >&2\n${answer({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] })}`,
      ),
    ];
    const outcome = await lab.call({ verb: 'ADD', plugin: 'macvlan', conf: FAKE, netns: pod.path, path });
    expect({ ...outcome, stdout: JSON.parse(outcome.stdout).cniVersion }).toMatchObject({
      exitCode: 0,
      stdout: '1.0.0',
      stderr: expect.stringMatching(/^x+… \(1000000 characters\) …x+\n$/),
    });
  });
});
