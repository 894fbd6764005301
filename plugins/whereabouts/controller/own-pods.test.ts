import { describe, expect, it } from 'vitest';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { podsService } from '../agent-service.ts';

const open = (options: Readonly<Record<string, string>>, env = {}) =>
  podsService.open({
    ...{ options, env, scope: fakeScope(), isClosing: () => false },
    run: () => expect.fail('nothing is called'),
  });

describe("the loop of a node's agent", () => {
  it('is there where a kubeconfig is given', async () => {
    expect(await open({})).toBeUndefined();
    const opened = await open({ 'whereabouts-kubeconfig': '/x' }, { NODENAME: 'w-1' });
    expect(opened).toEqual({ keep: expect.any(Function) });
  });

  it.each([
    [{ 'whereabouts-node': 'w-1' }, 'option "--whereabouts-node" needs "--whereabouts-kubeconfig"'],
    [
      { 'whereabouts-kubeconfig': '/x', 'whereabouts-node': 'W 1' },
      'cannot use --whereabouts-node "W 1": it is not a lower case RFC 1123 name',
    ],
  ])('refuses %o', async (options, message) => {
    await expect(open(options)).rejects.toThrow(message);
  });

  it('says why it cannot work, and goes on trying until the agent ends', async () => {
    const lines: string[] = [];
    const options = { 'whereabouts-kubeconfig': '/nowhere', 'whereabouts-node': 'w-1' };
    const scope = fakeScope({ log: (line) => lines.push(line) });
    const opened = await podsService.open({
      ...{ options, env: {}, scope, isClosing: () => false },
      run: () => expect.fail('nothing is called'),
    });
    const ending = new AbortController();
    const kept = opened?.keep?.(ending.signal);
    await expect.poll(() => lines).toEqual([expect.stringMatching(/^pods of node "w-1": cannot free .*"\/nowhere"/)]);
    ending.abort(new Error('over'));
    await kept;
  });
});
