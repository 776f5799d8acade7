import t from 'tap';
import { measure } from '../../scripts/masking-measure.ts';
import { samples, standardOf } from '../../scripts/masking-sentences.ts';

/** Recall and precision that each kind of type must reach. */
const AIMS = { shape: [0.98, 0.95], phone: [0.95, 0.9], words: [0.9, 0.9] } as const;

t.test('recall and precision reach their aims on sentences and records made for it [masking-quality]', async (t) => {
  const { types } = measure(samples(4711, 24, 480));
  const totals = {
    shape: { all: 0, found: 0, named: 0 },
    phone: { all: 0, found: 0, named: 0 },
    words: { all: 0, found: 0, named: 0 },
  };
  for (const { type, samples: count, recall, precision } of types) {
    const total = totals[standardOf(type)];
    total.all += count;
    total.found += recall * count;
    total.named += (recall * count) / Math.max(precision, 0.01);
    t.ok(
      recall >= 0.75 && precision >= 0.75,
      `${type}: recall ${recall.toFixed(3)}, precision ${precision.toFixed(3)}`,
    );
  }
  for (const standard of ['shape', 'phone', 'words'] as const) {
    const { all, found, named } = totals[standard];
    const [recall, precision] = AIMS[standard];
    t.ok(found / all >= recall, `${standard}: recall ${(found / all).toFixed(3)}`);
    t.ok(found / named >= precision, `${standard}: precision ${(found / named).toFixed(3)}`);
  }
});

t.test('the same seed gives the same samples, another one others', async (t) => {
  t.same(samples(1, 2, 20), samples(1, 2, 20));
  t.notSame(samples(1, 2, 20), samples(2, 2, 20));
});
