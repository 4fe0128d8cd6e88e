import torch

from tagseg.fast.present_classes import present_classes, to_all_classes

TAGS = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]]).float()


def test_present_classes_come_first_and_in_class_order():
    classes = present_classes(TAGS)
    assert classes.tags.tolist() == [[1, 1], [1, 0], [0, 0]]
    assert classes.index[0].tolist() == [1, 3]
    assert classes.index[1, 0] == 2


def test_maps_are_gathered_and_put_back():
    maps = 1 + torch.arange(12.0).view(3, 4, 1, 1).expand(3, 4, 2, 5)
    classes = present_classes(TAGS)
    gathered = classes.gather(maps)
    assert gathered[0, :, 0, 0].tolist() == [2.0, 4.0]
    assert torch.equal(to_all_classes(gathered, classes, 4), maps * TAGS[:, :, None, None])


def test_labels_of_the_present_classes_become_those_of_all():
    label = torch.tensor([[[0, 1, 2, 255]], [[1, 1, 0, 255]], [[0, 0, 255, 255]]])
    assert present_classes(TAGS).class_label(label).tolist() == [[[0, 2, 4, 255]], [[3, 3, 0, 255]], [[0, 0, 255, 255]]]


def test_a_batch_without_tags_keeps_one_empty_place():
    classes = present_classes(torch.zeros(2, 3))
    assert classes.index.shape == (2, 1)
    assert not classes.tags.any()
