import { ConfigFault, loadConfig, type Config } from '../config.ts';
import { describeConfig } from '../config/describe.ts';
import { restartNeeded, takeLive } from '../config/restart.ts';
import { watchConfig, type ConfigWatch } from '../config/watch.ts';
import { createLog } from '../log.ts';
import { createPortcullis } from '../main.ts';

/** Serves until SIGINT or SIGTERM, then ends cleanly; a second signal ends at once. */
export async function serve(file: string): Promise<number> {
  let config = loadConfig(file, process.env);
  const log = createLog(config.log);
  const portcullis = await createPortcullis(config, log);
  const url = await portcullis.listen();
  process.stderr.write(`${describeConfig(config)}\n`);
  for (const warning of config.warnings) log.warn({}, warning);
  log.info({ url, rulebook: portcullis.gateway.settings().rulebook.revision.slice(0, 12) }, 'Portcullis is serving');

  const watch: ConfigWatch = watchConfig(
    file,
    {
      onChange(next: Config) {
        const restart = restartNeeded(config, next);
        // Rules of the new file must not govern the old upstreams, nor the other way round.
        if (restart.some((key) => key.startsWith('connections['))) {
          portcullis.gateway.metrics.configReloaded('refused');
          log.error({ keys: restart }, 'connections changed, so nothing of the new file is in force before a restart');
          return;
        }
        if (restart.length > 0) log.warn({ keys: restart }, 'these keys changed and take effect after a restart');
        try {
          const live = takeLive(config, next);
          portcullis.apply(live);
          config = live;
        } catch (fault) {
          portcullis.gateway.metrics.configReloaded('refused');
          log.error({ err: fault }, 'the new rules were refused; the last good ones stay in force');
          return;
        }
        portcullis.gateway.metrics.configReloaded('applied');
        log.info(
          { rulebook: portcullis.gateway.settings().rulebook.revision.slice(0, 12) },
          'the configuration was reloaded',
        );
      },
      onFault(fault: ConfigFault) {
        portcullis.gateway.metrics.configReloaded('refused');
        log.error({ problems: fault.message }, 'the configuration was refused; the last good one stays in force');
      },
    },
    { env: process.env, running: config },
  );
  process.on('SIGHUP', () => watch.reload());

  await new Promise<void>((resolve) => {
    const stop = (): void => {
      process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));
      resolve();
    };
    process.once('SIGINT', stop).once('SIGTERM', stop);
  });
  log.info({}, 'Portcullis is stopping');
  watch.close();
  await portcullis.close();
  return 0;
}
