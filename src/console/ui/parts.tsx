import type { ComponentChildren } from "preact";
import type { VmState } from "../../client/index.ts";

/** State of a machine, in a word and a colour. */
export function StateBadge({ state }: { state: VmState | undefined }) {
  return <span class={`badge ${state ?? "unknown"}`}>{state ?? "…"}</span>;
}

/** A small line of numbers. It has no scale: its highest point is the top. */
export function Sparkline({ points, label }: { points: readonly number[]; label: string }) {
  const top = Math.max(...points, 1e-9);
  const step = 60 / Math.max(1, points.length - 1);
  const line = points.map((point, n) => `${(n * step).toFixed(1)},${(17 - (point / top) * 16).toFixed(1)}`);
  return (
    <svg class="spark" viewBox="0 0 60 18" role="img" aria-label={label} preserveAspectRatio="none">
      {points.length > 1 && <polyline points={line.join(" ")} />}
    </svg>
  );
}

interface FormProps {
  class?: string;
  "aria-label"?: string;
  /** Called in place of the browser's own request. */
  onSubmit(): unknown;
  children: ComponentChildren;
}

export function Form({ onSubmit, children, ...attributes }: FormProps) {
  return (
    <form
      {...attributes}
      onSubmit={(event) => {
        event.preventDefault();
        void onSubmit();
      }}
    >
      {children}
    </form>
  );
}

interface FormButtonsProps {
  /** Text of the button that submits the form. */
  yes: string;
  onCancel(): void;
  disabled?: boolean;
  isDangerous?: boolean;
}

export function FormButtons({ yes, onCancel, disabled = false, isDangerous = false }: FormButtonsProps) {
  return (
    <div class="buttons">
      <button type="button" onClick={() => onCancel()}>
        Cancel
      </button>
      <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={disabled}>
        {yes}
      </button>
    </div>
  );
}

/** Stands in place of the content of a page that is empty, waits, or has failed. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}

export function Failure({ error }: { error: Error | undefined }) {
  return error === undefined ? null : (
    <p class="failure" role="alert">
      {error.message}
    </p>
  );
}

/** A bar that says how much of a limit is used. */
export function Meter({
  label,
  used,
  limit,
  text,
}: {
  label: string;
  used: number | null;
  limit: number | null;
  text: string;
}) {
  const part = used === null || limit === null || limit === 0 ? undefined : Math.min(1, used / limit);
  return (
    <div class="meter">
      <div class="meter-head">
        <span>{label}</span>
        <span>{text}</span>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: browsers draw a <meter> each in their own way */}
      <div
        class="meter-bar"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(100 * (part ?? 0))}
        aria-valuetext={text}
      >
        <div
          class={part !== undefined && part > 0.8 ? "high" : ""}
          style={{ width: `${100 * (part ?? 0)}%` }}
        />
      </div>
    </div>
  );
}
