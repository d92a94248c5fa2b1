import { useEffect, useState } from "preact/hooks";
import { useMachine } from "../../state/context.ts";
import { type Item, Transcript } from "./transcript.ts";

/** Events of one request. */
const PAGE = 500;

/** The transcript of a session: the stored events, and then each event as it comes. A machine that sleeps sends none. */
export function useTranscript(sessionId: string): { items: readonly Item[]; error: Error | undefined } {
  const { vm, isAwake } = useMachine();
  const [items, setItems] = useState<readonly Item[]>([]);
  const [error, setError] = useState<Error>();
  useEffect(() => {
    const transcript = new Transcript();
    let isOver = false;
    let frame = 0;
    let isReading = false;
    const draw = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        setItems([...transcript.items]);
      });
    };
    const read = async (source: Pick<typeof vm, "getSequencedEvents">) => {
      for (let isLast = false; !isLast && !isOver; ) {
        const events = await source.getSequencedEvents(sessionId, { since: transcript.last, limit: PAGE });
        for (const { sequenceNumber, notification } of events) transcript.add(sequenceNumber, notification);
        isLast = events.length < PAGE;
        draw();
      }
      setError(undefined);
    };
    const catchUp = async (source: Pick<typeof vm, "getSequencedEvents">) => {
      if (isReading) return;
      isReading = true;
      try {
        await read(source);
      } catch (failure) {
        if (!isOver) setError(failure as Error);
      }
      isReading = false;
    };
    // A connection holds the machine awake, so a machine that sleeps is only read.
    const connection = isAwake ? vm.connect() : undefined;
    const ends = [
      connection?.on("sessionEvent", (event) => {
        if (event.sessionId !== sessionId) return;
        if (event.sequenceNumber !== transcript.last + 1) return void catchUp(connection);
        transcript.add(event.sequenceNumber, event.event);
        draw();
      }),
      connection?.onOpen(() => void catchUp(connection)),
    ];
    if (connection === undefined) void catchUp(vm);
    return () => {
      isOver = true;
      cancelAnimationFrame(frame);
      for (const end of ends) end?.();
      void connection?.dispose();
    };
  }, [vm, sessionId, isAwake]);
  return { items, error };
}
