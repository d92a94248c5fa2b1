import { type ComponentChildren, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Form, FormButtons } from "./parts.tsx";

interface Question {
  title: string;
  /** Effect of the answer "yes". */
  text?: string;
  /** Name of the button that says yes. */
  yes: string;
  isDangerous?: boolean;
  /** Text to type before the button works, for what cannot be undone. */
  typed?: string;
  /** Label and first text of a field. Its text is the answer. */
  field?: { label: string; value?: string; placeholder?: string };
}

/** Asks in a dialog. @returns the text of the field, or `""`; `undefined` if the user says no */
export function ask(question: Question): Promise<string | undefined> {
  return new Promise((resolve) => {
    const place = document.createElement("div");
    document.body.append(place);
    const end = (answer: string | undefined) => {
      render(null, place);
      place.remove();
      resolve(answer);
    };
    render(<Asked question={question} end={end} />, place);
  });
}

function Asked({ question, end }: { question: Question; end: (answer: string | undefined) => void }) {
  const { title, text, yes, isDangerous, typed, field } = question;
  const [value, setValue] = useState(field?.value ?? "");
  const isReady = typed === undefined ? field === undefined || value.trim() !== "" : value === typed;
  const label = typed === undefined ? field?.label : `Type ${typed} to confirm`;
  return (
    <Dialog title={title} onClose={() => end(undefined)}>
      <Form
        onSubmit={() => {
          if (isReady) end(value);
        }}
      >
        {text !== undefined && <p>{text}</p>}
        {label !== undefined && (
          <label class="field">
            <span>{label}</span>
            <input
              autoFocus
              value={value}
              placeholder={field?.placeholder}
              onInput={(event) => setValue(event.currentTarget.value)}
            />
          </label>
        )}
        <FormButtons
          yes={yes}
          onCancel={() => end(undefined)}
          disabled={!isReady}
          isDangerous={isDangerous}
        />
      </Form>
    </Dialog>
  );
}

/** A modal dialog. Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
  wide = false,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  return (
    <dialog
      ref={box}
      class={wide ? "wide" : ""}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}
