import { useEffect, useState } from "preact/hooks";
import { LOGGED_EVENTS } from "../../api/events.ts";
import type { EventLogEntry } from "../../client/index.ts";
import { useMachine } from "../state/context.ts";
import { ASLEEP_MS, usePoll } from "../state/use-poll.ts";
import { Dialog } from "../ui/dialog.tsx";
import { clock, dateTime } from "../ui/format.ts";
import { Empty, Failure } from "../ui/parts.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";

/** Pause between two looks at the log. In milliseconds. An event of a machine that is awake begins one at once. */
const LOOK_MS = 3_000;
const MOST_LINES = 10_000;

/** Shows the events that the server still has, and new events when they happen. Reading events does not boot the machine. */
export default function LogPage() {
  const { vm, key, isAwake } = useMachine();
  const [lines, setLines] = useState<EventLogEntry[]>([]);
  const look = () => vm.getEventLog({ after: lines.at(-1)?.number ?? 0 });
  const id = `${key.join("/")} ${isAwake}`;
  const { value, error, refresh } = usePoll(look, isAwake ? LOOK_MS : ASLEEP_MS, id);
  useEffect(() => {
    if (value === undefined || value.length === 0) return;
    setLines((all) => {
      const last = all.at(-1)?.number ?? 0;
      return [...all, ...value.filter(({ number }) => number > last)].slice(-MOST_LINES);
    });
  }, [value]);
  useEffect(() => {
    if (!isAwake) return;
    const connection = vm.connect();
    for (const name of LOGGED_EVENTS) connection.on(name as "vmBooted", refresh);
    return () => void connection.dispose();
  }, [vm, isAwake, refresh]);
  const [shown, setShown] = useState<EventLogEntry>();
  if (error !== undefined && lines.length === 0) return <Failure error={error} />;
  if (lines.length === 0)
    return <Empty>{value === undefined ? "…" : "The server has no event of this machine yet."}</Empty>;
  return (
    <>
      <VirtualList
        items={lines}
        rowHeight={26}
        keyOf={({ number }) => number}
        label="Events"
        role="log"
        class="fill mono"
        follows
        render={(entry) => (
          <button type="button" class="entry line" onClick={() => setShown(entry)}>
            <span class="hint">{clock(entry.at)}</span> <strong>{entry.name}</strong> {entry.text}
          </button>
        )}
      />
      {shown && (
        <Dialog title={`${shown.name}, ${dateTime(shown.at)}`} onClose={() => setShown(undefined)}>
          <pre class="wrap">{shown.text}</pre>
          <div class="buttons">
            <button type="button" onClick={() => setShown(undefined)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
