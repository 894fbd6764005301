import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hostLocalAddresses } from './host-local.ts';

it('hostLocalAddresses finds the addresses of one attachment among those of its network', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'braid-host-local-'));
  try {
    const folder = join(dataDir, 'lan');
    const owner = { dataDir, network: 'lan', containerId: 'c1', ifName: 'net1' };
    expect(hostLocalAddresses(owner)).toEqual([]);
    mkdirSync(folder);
    const files = {
      '192.0.2.1': 'c1\r\nnet1',
      'fd00::1': 'c1\r\nnet1\n',
      '192.0.2.2': 'c1\r\neth0',
      '192.0.2.3': 'c10\r\nnet1',
      '192.0.2.4': 'c1',
      'last_reserved_ip.0': '192.0.2.4',
      lock: '',
    };
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, name), content);
    }
    expect(hostLocalAddresses(owner).toSorted()).toEqual(['192.0.2.1', '192.0.2.4', 'fd00::1']);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});
