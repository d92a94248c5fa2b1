import { useMemo, useState } from "preact/hooks";
import type { AnyMethod } from "../../api/methods/method.ts";
import { rowOf, VM_METHOD_NAMES, type VmMethodName } from "../../api/methods/table.ts";
import { TRANSPORT_METHODS } from "../../api/methods/transport.ts";
import { sufficientRights } from "../../api/rights.ts";
import { textOrBytes } from "../../base/bytes.ts";
import { useMachine, useSession } from "../state/context.ts";
import type { Session } from "../state/session.ts";
import { Empty, Failure, Form } from "../ui/parts.tsx";
import { SchemaFields } from "../ui/schema-form/fields.tsx";
import { shapeOf } from "../ui/schema-form/method-shape.ts";
import { type Draft, fieldValue } from "../ui/schema-form/shape.ts";

/** Characters of a result that the page shows. */
const MAX_SHOWN = 200_000;

/** Any method of the API: a form made from the method table, and the result. Only the button calls it. */
export default function MethodsPage() {
  const session = useSession();
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<VmMethodName>();
  const names = useMemo(() => VM_METHOD_NAMES.filter((name) => isOffered(name, session)), [session]);
  const shown = names.filter((name) => name.toLowerCase().includes(search.trim().toLowerCase()));
  return (
    <div class="files-page">
      <div class="side">
        <div class="bar small">
          <input
            type="search"
            aria-label="Search methods"
            placeholder="Search methods"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </div>
        <ul class="plain scroll methods" aria-label="Methods">
          {shown.map((name) => (
            <li key={name}>
              <button
                type="button"
                class="entry mono"
                aria-expanded={name === chosen}
                onClick={() => setChosen(name)}
              >
                {name}({rowOf(name).input.names.join(", ")})
              </button>
            </li>
          ))}
        </ul>
      </div>
      <div class="side-content">
        {chosen === undefined ? (
          <Empty>Choose a method. docs/methods.md describes each.</Empty>
        ) : (
          <Call key={chosen} name={chosen} row={rowOf(chosen)} />
        )}
      </div>
    </div>
  );
}

function Call({ name, row }: { name: VmMethodName; row: AnyMethod }) {
  const { vm, isAwake } = useMachine();
  const shape = useMemo(() => shapeOf(row), [row]);
  const [draft, setDraft] = useState<Draft>({});
  const [result, setResult] = useState<string>();
  const [error, setError] = useState<Error>();
  const [isBusy, setIsBusy] = useState(false);
  const call = async () => {
    setIsBusy(true);
    setError(undefined);
    setResult(undefined);
    const args = row.input.names.map((argument) =>
      fieldValue(shape.properties?.[argument] ?? {}, draft[argument]),
    );
    while (args.length > 0 && args.at(-1) === undefined) args.pop();
    try {
      setResult(textOf(await vm.action({ name, args })));
    } catch (failure) {
      setError(failure as Error);
    }
    setIsBusy(false);
  };
  return (
    <div class="scroll">
      <h2>{name}</h2>
      <p class="hint">
        Needs the right {sufficientRights(row).join(" or ")}.
        {row.boots && !isAwake && " It boots the machine."}
      </p>
      <Form aria-label={name} onSubmit={call}>
        <SchemaFields shape={shape} draft={draft} onChange={setDraft} />
        <div class="buttons">
          <button type="submit" class={row.reads ? "primary" : "danger"} disabled={isBusy}>
            {isBusy ? "…" : "Call"}
          </button>
        </div>
      </Form>
      <Failure error={error} />
      {result !== undefined && (
        <section aria-label="Result" aria-live="polite">
          <h3>Result</h3>
          <pre class="wrap">{result}</pre>
        </section>
      )}
    </div>
  );
}

/** Methods that carry calls and pieces are the client's business. `destroy` has a button that asks. */
function isOffered(name: VmMethodName, session: Session): boolean {
  if (Object.hasOwn(TRANSPORT_METHODS, name) || name === "destroy") return false;
  const { right, reads } = rowOf(name);
  return right === "any" || session.may(right) || (reads === true && session.sees(right));
}

/** Writes a result as JSON. Bytes are shown as text, or by their number. */
function textOf(result: unknown): string {
  const text = JSON.stringify(
    result ?? null,
    (_name, value: unknown) => (value instanceof Uint8Array ? bytesText(value) : value),
    2,
  );
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function bytesText(content: Uint8Array): string {
  const text = textOrBytes(content);
  return typeof text === "string" ? text : `${text.length} bytes`;
}
