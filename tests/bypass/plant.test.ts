import t from 'tap';
import { readable } from './leak-detector.ts';
import { plantSecrets } from './plant-run.ts';

t.test('a secret planted anywhere in any answer, however it is written, never leaves [planted-secrets]', async (t) => {
  t.setTimeout(100_000);
  // `node scripts/plant-secrets.ts` does the same with twenty thousand; here another seed each day finds what one seed does not.
  const seed = Math.floor(Date.now() / 86_400_000);
  t.comment(`seed ${seed}`);
  const { runs } = await plantSecrets(t, { runs: 300, seed });
  t.ok(runs >= 300, `${runs} runs`);
});

t.test('the detector reads what it should, and nothing else', async (t) => {
  const secret = 'Whinchat-2K9V-Bittern-61';
  const sees = (text: string): boolean => readable(text, secret) !== undefined;
  const base64 = Buffer.from(`..${secret}`).toString('base64');
  t.ok(sees(`x ${secret} y`) && sees(secret.toUpperCase()) && sees(secret.slice(3, 18)));
  t.notOk(sees(secret.slice(0, 14)), 'less than 60 % is not enough');
  t.ok(sees(base64) && sees(`x${base64}`) && sees(`xy${base64}`) && sees(Buffer.from(secret).toString('hex')));
  t.ok(sees(JSON.stringify({ a: JSON.stringify({ b: base64 }) })));
  t.ok(sees('{"content":[{"type":"text","text":"Whinchat-2K"},{"type":"text","text":"9V-Bittern-61"}]}'));
  t.ok(sees([...secret].join('\u200b')) && sees(encodeURIComponent(`ä${secret}`)) && sees('%57hinchat-2K9V-Bittern'));
  t.notOk(sees('Whinchat, Bittern, 2K9V, 61') || sees('<EMAIL_ADDRESS>') || sees(base64.slice(0, 16)));
});
