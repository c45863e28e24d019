package io.audiomamba.checkpoint;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Writes a pickle of protocol 2, opcode by opcode. The counterpart of {@link Unpickler}. */
final class PickleWriter {

    private static final int PROTOCOL = 2;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    PickleWriter() {
        op(0x80).op(PROTOCOL);
    }

    /** A bare instruction, or a byte of its operand. */
    PickleWriter op(int opcode) {
        bytes.write(opcode);
        return this;
    }

    /** A Python name. */
    PickleWriter global(String module, String name) {
        return op('c').raw(module + "\n" + name + "\n");
    }

    PickleWriter text(String text) {
        return op('X').little(text.getBytes(StandardCharsets.UTF_8).length, Integer.BYTES).raw(text);
    }

    /** A whole number that is not negative takes as few bytes as in Python. */
    PickleWriter number(long number) {
        if (number >= 0 && number < 1 << 8) {
            return op('K').little(number, 1);
        }
        if (number >= 0 && number < 1 << 16) {
            return op('M').little(number, 2);
        }
        return (int) number == number
                ? op('J').little(number, Integer.BYTES)
                : op(0x8a).op(Long.BYTES).little(number, Long.BYTES);
    }

    PickleWriter tuple(List<Long> numbers) {
        op('(');
        numbers.forEach(this::number);
        return op('t');
    }

    /** A tensor as {@code torch.save} describes it. */
    PickleWriter tensor(PickledTensor tensor) {
        PickledTensor.Storage storage = tensor.storage();
        global("torch._utils", "_rebuild_tensor_v2").op('(');
        op('(').text("storage").global("torch", PickledTensor.storageClass(storage.type())).text(storage.key())
                .text("cpu").number(storage.size()).op('t').op('Q');
        number(tensor.offset()).tuple(tensor.shape()).tuple(tensor.strides());
        return op(0x89).orderedDict().op('t').op('R'); // needs no gradient, has no hooks
    }

    /** An empty OrderedDict. */
    PickleWriter orderedDict() {
        return global("collections", "OrderedDict").op(')').op('R');
    }

    private PickleWriter raw(String text) {
        bytes.writeBytes(text.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    private PickleWriter little(long value, int count) {
        for (int i = 0; i < count; i++) {
            op((int) (value >> 8 * i) & 0xff);
        }
        return this;
    }

    /** The pickle; nothing may be added to it. */
    byte[] end() {
        op('.');
        return bytes.toByteArray();
    }
}
