import { useId } from "preact/hooks";
import { MIB } from "../../../api/units.ts";
import { choicesOf, type Draft, kindOf, type Shape } from "./shape.ts";

interface Props {
  /** Shape of an object, whose properties are the fields. */
  shape: Shape;
  draft: Draft;
  onChange: (draft: Draft) => void;
  /** Names of the fields for people. @default the names of the properties */
  labels?: Readonly<Record<string, string>>;
}

/** The fields of a form, made from a schema. */
export function SchemaFields({ shape, draft, onChange, labels = {} }: Props) {
  return (
    <>
      {Object.entries(shape.properties ?? {}).map(([name, inner]) => (
        <Field
          key={name}
          label={labels[name] ?? name}
          shape={inner}
          isNeeded={shape.required?.includes(name) ?? false}
          entered={draft[name]}
          onChange={(entered) => onChange({ ...draft, [name]: entered })}
        />
      ))}
    </>
  );
}

interface FieldProps {
  label: string;
  shape: Shape;
  isNeeded: boolean;
  entered: string | Draft | undefined;
  onChange: (entered: string | Draft) => void;
}

const HINTS: Readonly<Record<string, string>> = {
  lines: "one a line",
  pairs: "NAME=value, one a line",
  json: "JSON, or text",
};

function Field({ label, shape, isNeeded, entered, onChange }: FieldProps) {
  const id = useId();
  const kind = kindOf(shape);
  if (kind === "group")
    return (
      <fieldset class="group">
        <legend>{label}</legend>
        <SchemaFields shape={shape} draft={typeof entered === "object" ? entered : {}} onChange={onChange} />
      </fieldset>
    );
  const hints = [HINTS[kind], mostOf(label, shape), isNeeded && "needed"].filter(Boolean).join(", ");
  return (
    <div class="field">
      <label htmlFor={id}>
        {label}
        {hints && ` (${hints})`}
      </label>
      <Control id={id} shape={shape} value={typeof entered === "string" ? entered : ""} onChange={onChange} />
    </div>
  );
}

interface ControlProps {
  id: string;
  shape: Shape;
  value: string;
  onChange: (entered: string) => void;
}

function Control({ id, shape, value, onChange }: ControlProps) {
  const kind = kindOf(shape);
  if (kind === "number" || kind === "text")
    return <input id={id} value={value} onInput={(event) => onChange(event.currentTarget.value)} />;
  if (kind !== "choice")
    return (
      <textarea id={id} rows={3} value={value} onInput={(event) => onChange(event.currentTarget.value)} />
    );
  return (
    <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">–</option>
      {choicesOf(shape).map((choice) => (
        <option key={choice}>{choice}</option>
      ))}
    </select>
  );
}

/** Says how large a number may be. */
function mostOf(label: string, { maximum }: Shape): string | undefined {
  if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return undefined;
  const isWhole = /bytes/i.test(label) && maximum % MIB === 0;
  return `at most ${isWhole ? `${maximum / MIB} MiB` : maximum.toLocaleString()}`;
}
