/** What whereabouts says of a range with few addresses left. */
import { describe, expect, it } from 'vitest';
import { withStore } from '../../lab/store.ts';

describe.concurrent('whereabouts', () => {
  it(
    'tells of a range that is nearly full, in ADD and STATUS, and of no other',
    { tags: 'whereabouts/nearly-full' },
    withStore({ range: '10.5.0.0/28' }, async (store) => {
      for (let at = 1; at <= 11; at++) {
        expect(await store.call('ADD', `c${at}`)).toMatchObject({ exitCode: 0, stderr: '' });
      }
      const stderr = 'range 10.5.0.0/28 is nearly full: 12 of 14 addresses are taken\n';
      expect(await store.call('STATUS', 'a')).toMatchObject({ exitCode: 0, stderr: '' });
      expect(await store.call('ADD', 'c12')).toMatchObject({ exitCode: 0, stderr });
      expect(await store.call('STATUS', 'a')).toMatchObject({ exitCode: 0, stderr });
      expect(await store.call('ADD', 'c12')).toMatchObject({ exitCode: 0, stderr: '' });
    }),
  );
});
