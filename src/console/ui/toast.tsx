import { useEffect, useState } from "preact/hooks";

interface Note {
  id: number;
  text: string;
  isError: boolean;
}

/** Time that a note stays. In milliseconds. */
const SHOWN_MS = 6_000;

const listeners = new Set<(note: Note) => void>();
let count = 0;

/** Shows a note for a while. Screen readers say it. */
export function tell(text: string): void {
  show({ text, isError: false });
}

/** Shows the message of a failure for a while. */
export function tellError({ message }: { message: string }): void {
  show({ text: message, isError: true });
}

function show(note: Omit<Note, "id">): void {
  count += 1;
  for (const listener of listeners) listener({ id: count, ...note });
}

/** Runs an action of the user, and tells its failure. @returns whether it succeeded */
export async function attempt(work: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await work();
    if (done !== undefined) tell(done);
    return true;
  } catch (error) {
    tellError(error as Error);
    return false;
  }
}

export function Toasts() {
  const [notes, setNotes] = useState<Note[]>([]);
  useEffect(() => {
    const add = (note: Note) => {
      setNotes((all) => [...all.slice(-3), note]);
      setTimeout(() => setNotes((all) => all.filter(({ id }) => id !== note.id)), SHOWN_MS);
    };
    listeners.add(add);
    return () => void listeners.delete(add);
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {notes.map(({ id, text, isError }) => (
        <p key={id} class={isError ? "toast error" : "toast"}>
          {text}
        </p>
      ))}
    </div>
  );
}
