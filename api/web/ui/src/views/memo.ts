import { Component, h, type ComponentType, type FunctionComponent } from "preact";

/** memo skips rendering while every property is the same value, as preact/compat's does. */
export function memo<P extends object>(inner: FunctionComponent<P>): ComponentType<P> {
  return class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const a = this.props as Record<string, unknown>;
      const b = next as Record<string, unknown>;
      return Object.keys({ ...a, ...b }).some((k) => a[k] !== b[k]);
    }
    override render() {
      return h(inner, this.props as P);
    }
  };
}
