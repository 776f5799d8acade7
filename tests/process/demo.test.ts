import t from 'tap';
import { send } from '../gateway.ts';
import { Program, until } from './commands.ts';

t.test('npm start prints a tour whose commands do what it says, and Ctrl-C stops it [first-run]', async (t) => {
  const demo = new Program(t, 'npm', ['start'], { env: { PORTCULLIS_LISTEN: '127.0.0.1:0' }, group: true });
  await demo.says(/sessions list/);
  const tour = demo.stdout;
  const [query, drop, hold] = [...tour.matchAll(/curl -sN [^]*?-d '.*'/g)].map(([command]) => command);
  const printed = (text: string): string =>
    tour
      .split('\n')
      .find((line) => line.includes(text))!
      .trim();
  const shell = (command: string): Program => new Program(t, 'sh', ['-c', command], { group: true });

  const masked = (await shell(query!).end()).stdout;
  t.match(masked, /<EMAIL_ADDRESS>.*<CREDIT_CARD>/);
  t.notMatch(masked, /@example\.com/);
  t.match((await shell(drop!).end()).stdout, /Dropping, truncating and altering are not allowed/);
  const held = shell(hold!);
  const id = await until(async () => /rev_[\w-]+/.exec((await shell(printed('reviews list')).end()).stdout)?.[0]);
  t.match(
    (await shell(printed('reviews approve').replace('REVIEW_ID', id)).end()).stdout,
    new RegExp(`${id} is APPROVED`),
  );
  const answer = (await held.end()).stdout;
  t.match(answer, /"isError":false|rows|changed|affected/i);
  t.notMatch(answer, /"isError":true/);
  t.match((await shell(printed('sessions list')).end()).stdout, /erin +default/);

  const [, dba] = /DBA +(pct_\S+)/.exec(tour)!;
  const [, url] = /MCP endpoint +(\S+)\/mcp/.exec(tour)!;
  const left = shell(hold!);
  await until(async () => {
    const list = await send(`${url}/api/reviews?status=PENDING`, dba, undefined, {}, 'GET');
    return (list.json['items'] as object[]).length > 0 ? true : undefined;
  });
  const startedAt = performance.now();
  demo.signal('SIGINT');
  const { stdout } = await demo.end();
  const took = performance.now() - startedAt;
  t.match(stdout, /stopped/, 'it ends by itself');
  t.ok(took < 5000, `Ctrl-C takes ${Math.round(took)} ms, with a call held`);
  t.match((await left.end()).stdout, /pending_approval/, 'the held call is told how to come back');

  const play = await new Program(t, 'npm', ['run', 'demo']).end();
  t.equal(play.code, 0, play.stdout + play.stderr);
  t.match(play.stdout, /the session, replayed from the record/);
  t.match(play.stdout, /hold tools\/call execute_sql/);
});
