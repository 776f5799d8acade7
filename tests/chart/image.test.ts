import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const ROOT = join(import.meta.dirname, '../..');
const DOCKERFILE = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const IGNORE = readFileSync(join(ROOT, '.dockerignore'), 'utf8');
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const BUILD = JSON.parse(readFileSync(join(ROOT, 'tsconfig.build.json'), 'utf8'));

/** The instructions of each stage, continued lines joined. */
const stages = DOCKERFILE.replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '' && !line.startsWith('#'))
  .reduce<string[][]>(
    (all, line) => (line.startsWith('FROM ') ? [...all, [line]] : [...all.slice(0, -1), [...(all.at(-1) ?? []), line]]),
    [],
  );
const last = stages.at(-1)!;

t.test('the image runs the gateway without root and with nothing to write but /data [image-locked-down]', async (t) => {
  const users = last.filter((line) => line.startsWith('USER '));
  t.strictSame(users, ['USER 10001:10001'], 'a number, so that Kubernetes can see that it is not root');
  t.ok(last.indexOf(users[0]!) > last.findLastIndex((line) => line.startsWith('RUN ')), 'nothing is written after it');
  t.ok(last.includes('VOLUME ["/data"]'));
  t.ok(last.includes('STOPSIGNAL SIGTERM'));
  t.ok(
    last.includes('ENTRYPOINT ["node", "/opt/portcullis/dist/proxy/cli.js"]'),
    'no shell between the signal and the gateway',
  );
  t.ok(last.includes('CMD ["serve", "--config", "/etc/portcullis/config.yaml"]'));
  t.match(
    last.find((line) => line.startsWith('HEALTHCHECK ')),
    /CMD \["node", "-e", "fetch\('http:\/\/127\.0\.0\.1:8800\/healthz'\)/,
  );
  t.ok(stages.flat().every((line) => !/^(ADD|ENV .*(TOKEN|SECRET|PASSWORD))/.test(line)));
  t.match(DOCKERFILE, /npm prune --omit=dev --omit=optional/, 'no tool and no second Node');
});

t.test('all that is compiled is copied, and all that is needed is compiled [image-complete]', async (t) => {
  const built = stages.find((stage) => stage.includes('RUN npm run build'))!;
  for (const folder of BUILD.include) {
    t.ok(built.includes(`COPY ${folder} ${folder}`), `${folder} is copied into the build`);
    t.ok(IGNORE.split('\n').includes(`!${folder}`), `${folder} is not ignored`);
    const others = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter(
        (entry) =>
          entry.isFile() &&
          !entry.name.endsWith('.ts') &&
          !entry.name.endsWith('.md') &&
          !entry.parentPath.includes('node_modules'),
      )
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
    const copied = others.filter((file) =>
      stages
        .flat()
        .some((line) => line.startsWith('COPY') && line.includes(`dist/${file.split('/').slice(0, -1).join('/')}`)),
    );
    t.strictSame(others, copied, `what tsc leaves out of dist/${folder} is copied there`);
  }
  t.ok(last.includes('COPY --from=build /build/dist dist'));
  t.equal(PACKAGE.bin.portcullis, 'dist/proxy/cli.js');
});
