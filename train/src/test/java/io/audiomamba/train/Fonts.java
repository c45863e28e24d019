package io.audiomamba.train;

import java.awt.image.BufferedImage;

/** Whether this machine has fonts: small systems do not, and there pictures are left out. */
final class Fonts {

    private Fonts() {}

    static boolean available() {
        System.setProperty("java.awt.headless", "true");
        try {
            new BufferedImage(9, 9, BufferedImage.TYPE_INT_RGB).createGraphics().drawString("A", 0, 9);
            return true;
        } catch (RuntimeException | Error _) {
            return false;
        }
    }
}
