import { setTimeout as delay } from 'node:timers/promises';

/** Leaders of the process groups that we started and that may still have members. */
const GROUPS = new Set<number>();

/** Only where process groups exist a child gets one of its own. */
export const HAS_GROUPS: boolean = process.platform !== 'win32';

/** Signals a child and all that it started and that did not leave its group; false when nobody is left. */
export function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(HAS_GROUPS ? -leader : leader, signal);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ESRCH') return false;
    // Of a member that may not be signalled (set-user-id) nothing more can be done.
    if ((fault as NodeJS.ErrnoException).code === 'EPERM') return false;
    throw fault;
  }
}

/** From now on the group ends with this process, however that exits by itself. */
export function guardGroup(leader: number): void {
  if (GROUPS.size === 0) process.on('exit', killAll);
  GROUPS.add(leader);
}

/** Ends what is left of a group: asked at first, made to after the given time. Resolves when that is done. */
export async function endGroup(leader: number, patienceMs: number): Promise<void> {
  if (HAS_GROUPS && signalGroup(leader, 'SIGTERM')) {
    const most = Date.now() + patienceMs;
    while (Date.now() < most && signalGroup(leader, 0)) await delay(20);
    signalGroup(leader, 'SIGKILL');
  }
  GROUPS.delete(leader);
  if (GROUPS.size === 0) process.off('exit', killAll);
}

function killAll(): void {
  for (const leader of GROUPS) signalGroup(leader, 'SIGKILL');
}
