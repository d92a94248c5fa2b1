import { useEffect, useState } from "preact/hooks";
import type { SpawnedPid } from "../../client/index.ts";
import { useMachine } from "../state/context.ts";
import { Lines } from "../state/lines.ts";
import { Failure } from "../ui/parts.tsx";
import { VirtualList } from "../ui/virtual-list.tsx";

/** Shows the output of a process that a method has started: the kept output first, then new output. */
export function ProcessOutputView({ pid, startedAt, onClose }: SpawnedPid & { onClose: () => void }) {
  const { vm } = useMachine();
  const [lines, setLines] = useState<string[]>([]);
  const [first, setFirst] = useState(0);
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const found = new Lines();
    const connection = vm.connect();
    let last = -1;
    let frame = 0;
    let isReading = false;
    let hasEnded = false;
    const draw = () => {
      // Many pieces arrive in one frame. They are drawn once.
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setLines(found.all);
        setFirst(found.first);
      });
    };
    const take = ({ seq, stream, data }: { seq: number; stream: string; data: Uint8Array }) => {
      if (seq <= last) return;
      last = seq;
      found.add(stream, data);
      draw();
    };
    const catchUp = async () => {
      if (isReading) return;
      isReading = true;
      try {
        const { chunks } = await connection.readProcessOutput(pid, { after: last, startedAt });
        chunks.forEach(take);
      } catch (failure) {
        setError(failure as Error);
      }
      isReading = false;
    };
    const ends = [
      connection.on("processOutput", (event) => {
        if (event.pid !== pid || hasEnded) return;
        // A piece is missing if the number does not follow: the kept output has it.
        if (event.seq === last + 1) take(event);
        else void catchUp();
      }),
      connection.on("processExit", (event) => {
        if (event.pid !== pid) return;
        hasEnded = true;
        void catchUp();
      }),
      // Pids begin again: later output of this pid is another process's.
      connection.on("vmRestarted", () => {
        hasEnded = true;
      }),
      connection.onOpen(() => void catchUp()),
    ];
    return () => {
      cancelAnimationFrame(frame);
      for (const end of ends) end();
      void connection.dispose();
    };
  }, [vm, pid, startedAt]);
  return (
    <section class="output" aria-label={`Output of process ${pid}`}>
      <div class="bar small">
        <h2>Output of {pid}</h2>
        <span class="hint" role="status">
          {first + lines.length} lines
        </span>
        <span class="grow" />
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <Failure error={error} />
      <VirtualList
        items={lines}
        rowHeight={18}
        keyOf={(_line, index) => first + index}
        label="Output"
        role="log"
        class="fill mono"
        follows
        render={(line) => <span class="line">{line}</span>}
      />
    </section>
  );
}
