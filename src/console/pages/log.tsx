import { useEffect, useState } from "preact/hooks";
import { useMachine } from "../state/context.ts";
import { clock } from "../ui/format.ts";
import { Empty } from "../ui/parts.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";

interface Line {
  at: number;
  name: string;
  text: string;
}

/** Events that every token may see, and events that need a right. A token without the right gets none of them. */
const EVENTS = [
  "vmBooted",
  "vmShutdown",
  "vmRestarted",
  "filesReadOnly",
  "limitWarning",
  "processExit",
  "waitingForInput",
  "portOpened",
  "portClosed",
  "networkDenied",
  "serviceChanged",
  "cronEvent",
  "agentCrashed",
] as const;

const MOST_LINES = 10_000;

/** Events of the machine since the page was opened. */
export default function LogPage() {
  const { vm, isAwake } = useMachine();
  const [lines, setLines] = useState<Line[]>([]);
  useEffect(() => {
    if (!isAwake) return;
    const connection = vm.connect();
    const add = (name: string, payload: unknown) => {
      const text = JSON.stringify(payload) ?? "";
      setLines((all) => [...all.slice(1 - MOST_LINES), { at: Date.now(), name, text: text.slice(0, 2_000) }]);
    };
    for (const name of EVENTS) connection.on(name as "vmBooted", (payload) => add(name, payload));
    return () => void connection.dispose();
  }, [vm, isAwake]);
  if (lines.length === 0)
    return (
      <Empty>{isAwake ? "Events appear here as they come." : "A machine that sleeps has no events."}</Empty>
    );
  return (
    <VirtualList
      items={lines}
      rowHeight={26}
      keyOf={(_line, index) => index}
      label="Events"
      role="log"
      class="fill mono"
      follows
      render={({ at, name, text }) => (
        <span class="line" title={text}>
          <span class="hint">{clock(at)}</span> <strong>{name}</strong> {text}
        </span>
      )}
    />
  );
}
