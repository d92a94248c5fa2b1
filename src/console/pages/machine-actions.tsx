import type { SnapshotInfo, VmHandle, VmListEntry } from "../../client/index.ts";
import { useSession } from "../state/context.ts";
import { goTo } from "../state/router.ts";
import type { Session } from "../state/session.ts";
import { ask } from "../ui/dialog.tsx";
import { keyText } from "../ui/format.ts";
import { attempt } from "../ui/toast.tsx";

interface Props {
  machine: VmListEntry & { name: string };
  refresh: () => void;
  isSmall?: boolean;
}

/** Wake, sleep, fork and destroy. */
export function MachineActions({ machine, refresh, isSmall = false }: Props) {
  const session = useSession();
  const { name, key, state } = machine;
  const shown = keyText(key);
  const vm = () => session.vm(name, key);
  const run = async (work: () => Promise<unknown>, done: string) => {
    await attempt(work, done);
    refresh();
  };
  const fork = async () => {
    await forkMachine({ vm: vm(), key });
    refresh();
  };
  const destroy = async () => {
    const typed = key.join("/");
    const answer = await ask({
      title: `Destroy ${shown}`,
      text: "Its processes end. Its files, snapshots, sessions and cron jobs are deleted. This cannot be undone.",
      yes: "Destroy",
      isDangerous: true,
      typed,
    });
    if (answer === undefined) return;
    await run(() => vm().destroy(), `Destroyed ${shown}`);
    if (!isSmall) goTo({ page: "machines" });
  };
  const isAwake = state !== "sleeping";
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would need a legend
    <span class="actions" role="group" aria-label={`Actions of ${shown}`}>
      {isAwake
        ? session.may("admin") && (
            <button type="button" onClick={() => void run(() => vm().sleep(), `${shown} sleeps`)}>
              Sleep
            </button>
          )
        : canWake(session) && (
            <button type="button" onClick={() => void run(() => wake(session, vm()), `${shown} is awake`)}>
              Wake
            </button>
          )}
      {session.may("create") && (
        <button type="button" onClick={() => void fork()}>
          Fork
        </button>
      )}
      {session.may("admin") && (
        <button type="button" class="danger" onClick={() => void destroy()}>
          Destroy
        </button>
      )}
    </span>
  );
}

/** Asks for the name of a new machine that gets the files of a machine, as they are now or were at a snapshot. */
export async function forkMachine(
  { vm, key }: { vm: VmHandle; key: readonly string[] },
  snapshot?: SnapshotInfo,
): Promise<void> {
  const then = snapshot && `had at the snapshot ${snapshot.name ?? snapshot.id}`;
  const wanted = await ask({
    title: `Fork ${keyText(key)}`,
    text: `A new machine gets the files that this machine ${then ?? "has now"}. A machine that sleeps wakes for it.`,
    yes: "Fork",
    field: { label: "Name of the new machine", value: `${key.join("/")}-fork` },
  });
  if (wanted === undefined) return;
  const options = snapshot && { snapshot: snapshot.id };
  await attempt(() => vm.fork(keyOf(wanted), options), `Forked to ${wanted}`);
}

/** Whether the token may wake a machine: with any method that boots it. */
export function canWake(session: Session): boolean {
  return session.may("snapshots") || session.sees("files");
}

/** Boots a machine that sleeps. */
export async function wake(session: Session, vm: VmHandle): Promise<void> {
  if (session.may("snapshots")) await vm.restore();
  else await vm.exists("/");
}

/** Reads a key from text: a slash separates its parts. */
export function keyOf(text: string): string[] {
  return text
    .split("/")
    .map((part) => part.trim())
    .filter(Boolean);
}
