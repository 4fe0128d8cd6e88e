import torch

from tagseg.pseudo.present import present_classes

TAGS = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]).float()


def test_present_classes_come_first_and_in_class_order():
    present = present_classes(TAGS)
    assert present.real.tolist() == [[True, True], [True, False], [False, False]]
    assert present.classes[0].tolist() == [1, 3]
    assert present.classes[1, 0] == 2


def test_maps_are_gathered_and_put_back():
    maps = 1 + torch.arange(12.0).view(3, 4, 1, 1).expand(3, 4, 2, 5)
    present = present_classes(TAGS)
    gathered = present.gather(maps)
    assert gathered[0, :, 0, 0].tolist() == [2.0, 4.0]
    assert torch.equal(present.scatter(gathered, 4), maps * TAGS[:, :, None, None])


def test_a_batch_without_tags_keeps_one_empty_place():
    present = present_classes(torch.zeros(2, 3))
    assert present.classes.shape == (2, 1)
    assert not present.real.any()
