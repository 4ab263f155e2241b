/** A task of one piece, for tests: what most runs of a slot are about. */
import type {
  Piece,
  PieceOutcome,
  RunOptions,
  RunOutcome,
  Slot,
  SlotInputs,
  SlotSession,
} from '@kasane/worker/internal/slots/slot';

type PieceOptions = RunOptions & Pick<Piece, 'use' | 'shard'>;

/** Runs one program over all of the inputs. */
export async function runPiece(
  slot: Slot,
  session: SlotSession,
  request: Piece['request'],
  inputs: SlotInputs,
  onReady: (ready: readonly number[]) => void = () => {},
  { use, shard, ...options }: PieceOptions = {},
): Promise<PieceOutcome & Omit<RunOutcome, 'pieces'>> {
  const piece = { request, start: 0, ...(use && { use }), ...(shard && { shard }) };
  const { pieces, ...outcome } = await slot.run(session, [piece], inputs, onReady, options);
  return { ...pieces[0]!, ...outcome };
}
