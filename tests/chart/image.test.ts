import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

// The demo is for checkouts: it needs packages that only tests and examples have.
const SHIPPED = ['proxy', 'policies', 'recorder'];

function filesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1));
}

t.test('the image has all that the gateway needs when it runs [image-complete]', async (t) => {
  const built = stages.find((stage) => stage.includes('RUN npm run build'))!;
  const copies = stages.flat().filter((line) => line.startsWith('COPY '));
  for (const folder of SHIPPED) {
    t.ok(BUILD.include.includes(folder), `${folder} is compiled`);
    t.ok(built.includes(`COPY ${folder} ${folder}`), `${folder} is copied into the build`);
    t.ok(IGNORE.split('\n').includes(`!${folder}`), `${folder} is not ignored`);
    const files = filesOf(folder);
    const left = files.filter(
      (file) => !/\.(ts|md)$/.test(file) && !copies.some((line) => line.endsWith(` dist/${dirname(file)}`)),
    );
    t.strictSame(left, [], `what tsc leaves out of dist/${folder} is copied there`);
    for (const file of files.filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      for (const [, type, from] of text.matchAll(/^(?:import|export) (type )?[^;]*?\bfrom '([^']+)';$/gm)) {
        if (type !== undefined || from!.startsWith('node:')) continue;
        if (from!.startsWith('.')) {
          const target = join(dirname(file), from!).split('/')[0]!;
          if (!SHIPPED.includes(target)) t.fail(`${file} imports ${from}, which is not in the image`);
        } else {
          const name = from!.split('/', from!.startsWith('@') ? 2 : 1).join('/');
          if (!Object.hasOwn(PACKAGE.dependencies, name))
            t.fail(`${file} imports ${name}, which is no dependency at run time`);
        }
      }
    }
  }
  t.ok(last.includes('COPY --from=build /build/dist dist'));
  t.ok(last.includes('COPY --from=build /build/package.json ./'), 'the version is read from it');
  t.equal(PACKAGE.bin.portcullis, 'dist/proxy/cli.js');
});
