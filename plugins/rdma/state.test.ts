import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../lib/sys/testing/temporary.ts';
import {
  formatState,
  listStates,
  parseState,
  type RdmaState,
  readState,
  removeState,
  statePath,
  writeState,
} from './state.ts';

/** As the Go plugin writes it. */
const GO = '{"version":"1.0","deviceID":"0000:65:02.3","sandboxRdmaDevName":"mlx5_9","containerRdmaDevName":"mlx5_9"}';
const owner = { network: 'blue', containerId: 'c1', ifName: 'net1' };
const state: RdmaState = {
  deviceId: '0000:65:02.3',
  hostName: 'mlx5_9',
  containerName: 'mlx5_9',
  owner: { ...owner, netns: '/run/netns/p' },
};
const quiet = (): void => undefined;

describe('the state of an attachment', () => {
  it('is in the Go form: its keys in its order, ours under one more', () => {
    expect(formatState({ ...state, owner: undefined })).toBe(GO);
    expect(formatState(state)).toBe(
      `${GO.slice(0, -1)},"braid":{"network":"blue","containerID":"c1","ifname":"net1","netns":"/run/netns/p"}}`,
    );
  });

  it('is read from both, and from what later versions may add', () => {
    expect(parseState(GO)).toEqual({ ...state, owner: undefined });
    expect(parseState(formatState(state))).toEqual(state);
    expect(parseState(GO.replace('"1.0"', '"9.9","future":[1]'))).toEqual({ ...state, owner: undefined });
  });

  it.each(['', '{', 'null', '[]', '{"deviceID":5}'])('says nothing when it is broken: %j', (content) => {
    expect(parseState(content)).toEqual({ deviceId: '', hostName: '', containerName: '', owner: undefined });
  });

  it('lies where the Go plugin looks for it, for root only', () => {
    using folder = temporaryFolder();
    const dataDir = join(folder.path, 'cni', 'rdma');
    const path = statePath(dataDir, owner);
    expect(path).toBe(`${dataDir}/blue-c1-net1`);
    writeState(dataDir, path, state);
    expect([statSync(dataDir).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(readFileSync(path, 'utf8')).toBe(formatState(state));
    expect(readdirSync(dataDir)).toEqual(['blue-c1-net1']);
  });

  it('is removed together with what a killed write has left', () => {
    using folder = temporaryFolder();
    const path = statePath(folder.path, owner);
    writeState(folder.path, path, state);
    writeFileSync(join(folder.path, '.blue-c1-net1.tmp'), 'half');
    removeState(path, quiet);
    expect(readdirSync(folder.path)).toEqual([]);
    expect(readState(path, quiet)).toBeUndefined();
  });

  it('is said to be unreadable, and goes on saying nothing', () => {
    using folder = temporaryFolder();
    const lines: string[] = [];
    const path = statePath(folder.path, owner);
    mkdirSync(path);
    expect(readState(path, (line) => lines.push(line))).toEqual(parseState(''));
    removeState(path, (line) => lines.push(line));
    expect(lines).toEqual([
      expect.stringMatching(/^cannot read ".*blue-c1-net1": EISDIR/),
      expect.stringMatching(/^cannot remove ".*blue-c1-net1"/),
    ]);
  });

  it('is listed with others, temporary files left out', () => {
    using folder = temporaryFolder();
    for (const name of ['a', '.b.tmp', 'c']) {
      writeFileSync(join(folder.path, name), GO);
    }
    expect([...listStates(folder.path, quiet).keys()]).toEqual(['a', 'c']);
    expect(listStates(join(folder.path, 'none'), quiet).size).toBe(0);
  });
});
