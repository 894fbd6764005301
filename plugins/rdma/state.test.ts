import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import { formatState, nameOf, parseState, type RdmaState, readState, removeState, statesIn } from './state.ts';

/** As the Go plugin writes it. */
const GO = '{"version":"1.0","deviceID":"0000:65:02.3","sandboxRdmaDevName":"mlx5_9","containerRdmaDevName":"mlx5_9"}';
const owner = { network: 'blue', containerId: 'c1', ifName: 'net1' };
const state: RdmaState = {
  deviceId: '0000:65:02.3',
  hostName: 'mlx5_9',
  containerName: 'mlx5_9',
  owner: { ...owner, netns: '/run/netns/p', namespace: { boot: 'b', inode: '4:7', cookie: 9 } },
};
const quiet = (): void => undefined;

describe('the state of an attachment', () => {
  it("has the Go plugin's format: its keys in its order, ours under one more", () => {
    expect(formatState({ ...state, owner: undefined })).toBe(GO);
    expect(formatState(state)).toBe(
      `${GO.slice(0, -1)},"braid":{"network":"blue","containerID":"c1","ifname":"net1","netns":"/run/netns/p",` +
        '"namespace":{"boot":"b","inode":"4:7","cookie":9}}}',
    );
  });

  it('is read from both, and with unknown keys', () => {
    expect(parseState(GO)).toEqual({ ...state, owner: undefined });
    expect(parseState(formatState(state))).toEqual(state);
    expect(parseState(GO.replace('"1.0"', '"9.9","future":[1]'))).toEqual({ ...state, owner: undefined });
  });

  it.each(['', '{', 'null', '[]', '{"deviceID":5}', `${GO.slice(0, -1)},"braid":{"network":1}}`])(
    'cannot be %j',
    (content) => {
      expect(() => parseState(content)).toThrow();
    },
  );

  it('lies where the Go plugin looks for it, for root only', () => {
    using folder = temporaryFolder();
    const states = statesIn(join(folder.path, 'cni', 'rdma'));
    const path = states.fileOf(nameOf(owner));
    expect(path).toBe(`${states.path}/blue-c1-net1`);
    states.write(nameOf(owner), state);
    expect([statSync(states.path).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(readFileSync(path, 'utf8')).toBe(formatState(state));
    expect(readdirSync(states.path)).toEqual(['blue-c1-net1']);
  });

  it('is removed together with the leftover of a killed write', () => {
    using folder = temporaryFolder();
    const states = statesIn(folder.path);
    states.write(nameOf(owner), state);
    writeFileSync(join(folder.path, '.blue-c1-net1.tmp'), 'half');
    removeState(states, nameOf(owner), quiet);
    expect(readdirSync(folder.path)).toEqual([]);
    expect(readState(states, nameOf(owner), quiet)).toBeUndefined();
  });

  it('is logged when unreadable, and reads as empty', () => {
    using folder = temporaryFolder();
    const lines: string[] = [];
    const states = statesIn(folder.path);
    mkdirSync(states.fileOf(nameOf(owner)));
    const nothing = { deviceId: '', hostName: '', containerName: '', owner: undefined };
    expect(readState(states, nameOf(owner), (line) => lines.push(line))).toEqual(nothing);
    removeState(states, nameOf(owner), (line) => lines.push(line));
    expect(lines).toEqual([
      expect.stringMatching(/^cannot read record ".*blue-c1-net1": EISDIR/),
      expect.stringMatching(/^cannot remove ".*blue-c1-net1"/),
    ]);
  });
});
