/** Where messages for people go. */
export interface WalLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
